// Every f16 and bf16 code, and rounding against a formulation that never looks at bits.
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { bf16Value, bytesOf, f16Bits, f16Value, f16ValueTable } from '../../../src/core/dtype.ts'

const codes = Array.from({ length: 0x1_0000 }, (_, code) => code)

/** The 31,744 finite magnitudes of f16 in order, from their definition: mantissa × quantum. */
const magnitudes = Array.from({ length: 31_744 }, (_, code) => {
  const exponent = Math.floor(code / 1024)
  return exponent === 0 ? code * 2 ** -24 : (1024 + (code % 1024)) * 2 ** (exponent - 25)
})

/** Nearest magnitude by comparing distances, which are exact in f64; ties go to the even code. */
function nearestMagnitudeCode(magnitude: number): number {
  if (magnitude >= 65520) return 0x7c00
  let low = 0
  let high = magnitudes.length - 1
  if (magnitude >= magnitudes[high]!) return high
  while (high - low > 1) {
    const middle = (low + high) >> 1
    if (magnitudes[middle]! <= magnitude) low = middle
    else high = middle
  }
  const down = magnitude - magnitudes[low]!
  const up = magnitudes[high]! - magnitude
  if (down !== up) return down < up ? low : high
  return low % 2 === 0 ? low : high
}

function nearestCode(value: number): number {
  const sign = value < 0 || Object.is(value, -0) ? 0x8000 : 0
  return sign | nearestMagnitudeCode(Math.abs(value))
}

describe('f16', () => {
  test('every finite code stands for its mantissa times its quantum', () => {
    const wrong = codes.filter((code) => {
      const magnitude = magnitudes[code & 0x7fff]
      if (magnitude === undefined) return false
      return !Object.is(f16Value(code), code >= 0x8000 ? -magnitude : magnitude)
    })
    expect(wrong).toEqual([])
  })

  test('infinities and NaNs', () => {
    expect(f16Value(0x7c00)).toBe(Infinity)
    expect(f16Value(0xfc00)).toBe(-Infinity)
    const nans = codes.filter((code) => (code & 0x7fff) > 0x7c00)
    expect(nans).toHaveLength(2046)
    expect(nans.every((code) => Number.isNaN(f16Value(code)))).toBe(true)
    expect(f16Bits(NaN) & 0x7fff).toBe(0x7e00)
  })

  test('encoding undoes decoding for every code but NaNs', () => {
    const wrong = codes.filter((code) => !Number.isNaN(f16Value(code)) && f16Bits(f16Value(code)) !== code)
    expect(wrong).toEqual([])
  })

  test('the table holds every value', () => {
    const table = f16ValueTable()
    expect(table).toHaveLength(0x1_0000)
    expect(codes.filter((code) => !Object.is(table[code], f16Value(code)))).toEqual([])
  })

  test('midpoints go to even and their f64 neighbours to the nearer side, subnormals included', () => {
    const wrong: number[] = []
    for (let code = 0; code + 1 < magnitudes.length; code++) {
      const low = magnitudes[code]!
      const high = magnitudes[code + 1]!
      const middle = (low + high) / 2
      const nudge = middle * 2 ** -52
      for (const value of [middle, middle + nudge, middle - nudge, -middle, low + (high - low) / 3]) {
        if (f16Bits(value) !== nearestCode(value)) wrong.push(value)
      }
    }
    expect(wrong).toEqual([])
  })

  test.each([
    [65519.99, 0x7bff],
    [65520, 0x7c00],
    [-65520, 0xfc00],
    [1e39, 0x7c00],
    [-1e300, 0xfc00],
    [2 ** -25, 0],
    [2 ** -25 * (1 + 2 ** -52), 1],
    [-5e-324, 0x8000],
    [-0, 0x8000],
  ])('%d becomes %i', (value, bits) => {
    expect(f16Bits(value)).toBe(bits)
  })

  test('any f64 goes to the nearest code', () => {
    fc.assert(
      fc.property(
        fc.oneof(fc.double({ noNaN: true }), fc.double({ min: -70000, max: 70000, noNaN: true })),
        (value) => {
          expect(f16Bits(value)).toBe(nearestCode(value))
        },
      ),
      { numRuns: 2000 },
    )
  })
})

test('every bf16 code stands for mantissa times quantum', () => {
  const wrong = codes.filter((code) => {
    const exponent = (code >> 7) & 255
    const mantissa = code & 127
    const sign = code >= 0x8000 ? -1 : 1
    if (exponent === 255) {
      return !Object.is(bf16Value(code), mantissa === 0 ? sign * Infinity : NaN)
    }
    const magnitude = exponent === 0 ? mantissa * 2 ** -133 : (128 + mantissa) * 2 ** (exponent - 134)
    return !Object.is(bf16Value(code), sign * magnitude)
  })
  expect(wrong).toEqual([])
})

test('element sizes', () => {
  expect((['f64', 'f32', 'f16', 'bf16', 'i64', 'i8', 'bool'] as const).map(bytesOf)).toEqual([
    8, 4, 2, 2, 8, 1, 1,
  ])
})
