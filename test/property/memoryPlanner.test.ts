// The memory planner on random lives: ranges that touch the same dispatch never share a colour, and colours fit.

import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { colourRanges, overlaps, type LiveRange } from '../../src/plan/arena.ts'

const range: fc.Arbitrary<LiveRange> = fc
  .record({ bytes: fc.integer({ min: 4, max: 4096 }), first: fc.nat(30), length: fc.nat(12) })
  .map(({ bytes, first, length }) => ({ bytes, first, last: first + length }))
const ranges = fc.array(range, { maxLength: 40 })

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0)

/** The most bytes that are alive in one dispatch: no planner can do with less. */
function peak(lives: readonly LiveRange[]): number {
  const at = (index: number): number =>
    sum(lives.filter(({ first, last }) => first <= index && index <= last).map(({ bytes }) => bytes))
  return Math.max(0, ...Array.from({ length: 50 }, (_, index) => at(index)))
}

describe('any ranges', () => {
  test('that overlap have different colours', () => {
    fc.assert(
      fc.property(ranges, (lives) => {
        const { colours } = colourRanges(lives)
        const clashes = lives.flatMap((a, i) =>
          lives.filter((b, j) => i < j && colours[i] === colours[j] && overlaps(a, b)),
        )
        expect(clashes).toEqual([])
      }),
      { numRuns: 300 },
    )
  })

  test('have a colour that is exactly as large as its largest member', () => {
    fc.assert(
      fc.property(ranges, (lives) => {
        const { colours, sizes } = colourRanges(lives)
        expect(colours).toHaveLength(lives.length)
        sizes.forEach((size, colour) => {
          const members = lives.filter((_, index) => colours[index] === colour)
          expect(size).toBe(Math.max(...members.map(({ bytes }) => bytes)))
        })
        for (const colour of colours) expect(sizes[colour]).toBeDefined()
      }),
      { numRuns: 300 },
    )
  })

  test('take at least the peak and at most the sum of all', () => {
    fc.assert(
      fc.property(ranges, (lives) => {
        const total = sum(colourRanges(lives).sizes)
        expect(total).toBeGreaterThanOrEqual(peak(lives))
        expect(total).toBeLessThanOrEqual(sum(lives.map(({ bytes }) => bytes)))
      }),
      { numRuns: 300 },
    )
  })

  test('are coloured the same way each time, and are left as they were', () => {
    fc.assert(
      fc.property(ranges, (lives) => {
        const before = structuredClone(lives)
        expect(colourRanges(lives)).toEqual(colourRanges(before))
        expect(lives).toEqual(before)
      }),
    )
  })
})

describe('small cases', () => {
  test('lives that follow one another share a colour; those that meet in a dispatch do not', () => {
    const apart = [
      { bytes: 8, first: 0, last: 1 },
      { bytes: 8, first: 2, last: 3 },
    ]
    expect(colourRanges(apart)).toEqual({ colours: [0, 0], sizes: [8] })
    const meeting = [apart[0]!, { bytes: 8, first: 1, last: 3 }]
    expect(colourRanges(meeting)).toEqual({ colours: [0, 1], sizes: [8, 8] })
  })

  test('a chain of equal values needs two colours, as ping-pong', () => {
    const chain = Array.from({ length: 9 }, (_, i) => ({ bytes: 64, first: i, last: i + 1 }))
    expect(colourRanges(chain).sizes).toEqual([64, 64])
  })

  test('a range takes the largest free colour', () => {
    const lives = [
      { bytes: 100, first: 0, last: 0 },
      { bytes: 60, first: 0, last: 0 },
      { bytes: 50, first: 1, last: 1 },
      { bytes: 40, first: 1, last: 1 },
    ]
    expect(colourRanges(lives).colours).toEqual([0, 1, 0, 1])
  })

  test('nothing needs nothing', () => {
    expect(colourRanges([])).toEqual({ colours: [], sizes: [] })
  })

  test.each([
    [0, 3, 4, 9, false],
    [0, 4, 4, 9, true],
    [4, 9, 0, 4, true],
    [2, 3, 0, 9, true],
    [5, 9, 0, 4, false],
  ])('[%i, %i] and [%i, %i] overlap: %s', (first, last, otherFirst, otherLast, expected) => {
    expect(overlaps({ bytes: 4, first, last }, { bytes: 4, first: otherFirst, last: otherLast })).toBe(
      expected,
    )
  })
})
