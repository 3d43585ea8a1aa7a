// Philox-4x32-10 against the known answers of its authors (Random123's kat_vectors), and the uniforms made from it.

import { describe, expect, test } from 'vitest'
import { philox, uniform } from '../../../src/core/philox.ts'

type Words = readonly [number, number, number, number]

test.each<[name: string, counter: Words, key: readonly [number, number], expected: string]>([
  ['zeros', [0, 0, 0, 0], [0, 0], '6627e8d5 e169c58d bc57ac4c 9b00dbd8'],
  [
    'ones',
    [0xffff_ffff, 0xffff_ffff, 0xffff_ffff, 0xffff_ffff],
    [0xffff_ffff, 0xffff_ffff],
    '408f276d 41c83b0e a20bc7c6 6d5451fd',
  ],
  [
    'digits of pi',
    [0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344],
    [0xa409_3822, 0x299f_31d0],
    'd16cfe09 94fdcceb 5001e420 24126ea1',
  ],
])('the known answer of %s', (_name, counter, key, expected) => {
  const words = philox(counter, key)
  expect(words.map((word) => word.toString(16).padStart(8, '0')).join(' ')).toBe(expected)
})

test('every word of counter and key changes every word of the result', () => {
  const base = philox([1, 2, 3, 4], [5, 6])
  const others = [
    philox([0, 2, 3, 4], [5, 6]),
    philox([1, 0, 3, 4], [5, 6]),
    philox([1, 2, 0, 4], [5, 6]),
    philox([1, 2, 3, 0], [5, 6]),
    philox([1, 2, 3, 4], [0, 6]),
    philox([1, 2, 3, 4], [5, 0]),
  ]
  expect(philox([1, 2, 3, 4], [5, 6])).toEqual(base)
  for (const other of others) other.forEach((word, i) => expect(word).not.toBe(base[i]))
})

describe('uniforms', () => {
  test('lie strictly between zero and one, also in f32', () => {
    expect(uniform(0)).toBe(2 ** -24)
    expect(uniform(0xffff_ffff)).toBe(1 - 2 ** -24)
    for (const bits of [0, 1, 511, 512, 0x8000_0000, 0xffff_ffff]) {
      expect(Math.fround(uniform(bits))).toBe(uniform(bits))
    }
  })

  test('use the top 23 bits only', () => {
    expect(uniform(511)).toBe(uniform(0))
    expect(uniform(512)).toBe(1.5 * 2 ** -23)
  })

  test('spread evenly over 64 bins', () => {
    const bins = Array.from({ length: 64 }, () => 0)
    for (let i = 0; i < 5000; i++)
      for (const word of philox([i, 0, 0, 0], [1, 2])) bins[Math.floor(uniform(word) * 64)]!++
    const expected = 20_000 / 64
    const chiSquare = bins.reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0)
    // 63 degrees of freedom: one in ten thousand is below 27 or above 114.
    expect(chiSquare).toBeGreaterThan(27)
    expect(chiSquare).toBeLessThan(114)
  })
})
