// The cost of a push, seen through a decode function that notes how much it is asked to decode.
import { expect, test } from 'vitest'
import { createStreamDecoder } from '../../../src/text/streamDecoder.ts'

const utf8 = new TextDecoder('utf-8', { ignoreBOM: true })

/** Ids are bytes. Returns the longest list of ids that one push decoded. */
function longestWindow(bytes: Iterable<number>): { text: string; window: number } {
  let window = 0
  const decoder = createStreamDecoder((ids) => {
    window = Math.max(window, ids.length)
    return utf8.decode(Uint8Array.from(ids))
  })
  let text = ''
  for (const byte of bytes) text += decoder.push(byte)
  return { text: text + decoder.flush(), window }
}

test.each<[string, number[], number]>([
  ['plain text', [0x61], 2],
  ['emoji', [0xf0, 0x9f, 0xa6, 0x8a], 8],
  ['bytes that are no UTF-8', [0x80], 32],
  ['first bytes without continuation', [0xe2], 32],
  ['replacement characters', [0xef, 0xbf, 0xbd], 32],
])('the window stays short for %s', (_, pattern, limit) => {
  const bytes = Array.from({ length: 600 }, (_, i) => pattern[i % pattern.length]!)
  const { text, window } = longestWindow(bytes)
  expect(text).toBe(utf8.decode(Uint8Array.from(bytes)))
  expect(window).toBeLessThanOrEqual(limit)
})
