// Stop strings in a stream: what is let through, what is held back and for how long, and that the pieces in which
// text arrives never matter.

import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createStopFilter } from '../../../src/api/stopStrings.ts'

interface Filtered {
  readonly text: string
  readonly isStopped: boolean
}

/** Everything that comes out of the filter, as the engine drives it. */
function filterAll(stops: readonly string[], pieces: readonly string[]): Filtered {
  const filter = createStopFilter(stops)
  let text = ''
  for (const piece of pieces) {
    const pushed = filter.push(piece)
    text += pushed.text
    if (pushed.isStopped) return { text, isStopped: true }
  }
  return { text: text + filter.flush(), isStopped: false }
}

/** The plain definition: read letter by letter, stop where a stop string is first complete; the longest one counts. */
function cut(stops: readonly string[], text: string): Filtered {
  for (let end = 1; end <= text.length; end++) {
    const found = stops.filter((stop) => text.slice(0, end).endsWith(stop))
    if (found.length === 0) continue
    return { text: text.slice(0, end - Math.max(...found.map(({ length }) => length))), isStopped: true }
  }
  return { text, isStopped: false }
}

describe('a stop filter', () => {
  test('lets everything through at once when there is nothing to stop at', () => {
    const filter = createStopFilter([])
    expect(filter.push('abc')).toEqual({ text: 'abc', isStopped: false })
    expect(filter.flush()).toBe('')
  })

  test('cuts before a stop string inside a piece and drops the rest', () => {
    expect(createStopFilter(['END']).push('one END two')).toEqual({ text: 'one ', isStopped: true })
  })

  test('cuts before a stop string that comes in pieces', () => {
    const filter = createStopFilter(['END'])
    expect(filter.push('one E')).toEqual({ text: 'one ', isStopped: false })
    expect(filter.push('N')).toEqual({ text: '', isStopped: false })
    expect(filter.push('D two')).toEqual({ text: '', isStopped: true })
    expect(filter.flush()).toBe('')
  })

  test('gives back what turned out to be no stop string', () => {
    const filter = createStopFilter(['END'])
    expect(filter.push('one EN').text).toBe('one ')
    expect(filter.push('E').text).toBe('EN')
    expect(filter.push('!').text).toBe('E!')
  })

  test('gives what it held back when the text ends', () => {
    const filter = createStopFilter(['END'])
    expect(filter.push('one EN').text).toBe('one ')
    expect(filter.flush()).toBe('EN')
    expect(filter.flush()).toBe('')
  })

  test('holds back no more than could become a stop string', () => {
    const filter = createStopFilter(['\n\n', 'User:'])
    expect(filter.push('a\n').text).toBe('a')
    expect(filter.push('b').text).toBe('\nb')
    expect(filter.push(' Use').text).toBe(' ')
  })

  test('finds a stop string that begins again inside itself', () => {
    expect(filterAll(['aab'], ['a', 'a', 'a', 'b'])).toEqual({ text: 'a', isStopped: true })
  })

  test.each([
    ['the earlier of two', ['two', 'one'], 'zero one two', 'zero '],
    ['the longer of two that end together', ['b', 'ab'], 'xab', 'x'],
    ['the one that is complete first, though the other began before', ['abc', 'b'], 'xabc', 'xa'],
  ])('stops at %s, in whatever pieces the text comes', (_name, stops, text, expected) => {
    for (let size = 1; size <= text.length; size++) {
      const pieces = Array.from({ length: Math.ceil(text.length / size) }, (_, i) =>
        text.slice(i * size, (i + 1) * size),
      )
      expect(filterAll(stops, pieces), `pieces of ${size}`).toEqual({ text: expected, isStopped: true })
    }
  })
})

describe('any text in any pieces', () => {
  const letters = fc.string({ unit: fc.constantFrom('a', 'b', 'c'), maxLength: 4 })
  const stopStrings = fc.array(
    letters.filter((text) => text.length > 0),
    { maxLength: 3 },
  )

  test('is cut where a stop string is first complete', () => {
    fc.assert(
      fc.property(stopStrings, fc.array(letters, { maxLength: 12 }), (stops, pieces) => {
        expect(filterAll(stops, pieces)).toEqual(cut(stops, pieces.join('')))
      }),
      { numRuns: 2000 },
    )
  })

  test('is never let through and taken back: what has come out is a beginning of the result', () => {
    fc.assert(
      fc.property(stopStrings, fc.array(letters, { maxLength: 12 }), (stops, pieces) => {
        const expected = cut(stops, pieces.join('')).text
        const filter = createStopFilter(stops)
        let text = ''
        for (const piece of pieces) {
          const pushed = filter.push(piece)
          text += pushed.text
          expect(expected.startsWith(text)).toBe(true)
          if (pushed.isStopped) break
        }
      }),
      { numRuns: 1000 },
    )
  })
})
