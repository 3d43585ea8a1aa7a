import { describe, expect, test } from 'vitest'
import { bf16Value, f16Bits, f16Value, type SourceDType } from '../../../src/core/dtype.ts'
import { decodeF32, encodeF16 } from '../../../src/weights/decode.ts'

const bytesOfArray = (array: ArrayBufferView): Uint8Array =>
  new Uint8Array(array.buffer, array.byteOffset, array.byteLength)

/** The same bytes at an odd address. */
function misaligned(bytes: Uint8Array): Uint8Array {
  const shifted = new Uint8Array(bytes.length + 1)
  shifted.set(bytes, 1)
  return shifted.subarray(1)
}

const codes = Uint16Array.from({ length: 0x1_0000 }, (_, code) => code)

describe('decodeF32', () => {
  test.each<[SourceDType, ArrayBufferView, Float32Array]>([
    ['f32', Float32Array.of(1, -0, 1e-45, NaN), Float32Array.of(1, -0, 1e-45, NaN)],
    ['f64', Float64Array.of(0.1, -Infinity, NaN, 1e-320), Float32Array.of(0.1, -Infinity, NaN, 0)],
    ['f16', codes, Float32Array.from(codes, f16Value)],
    ['bf16', codes, Float32Array.from(codes, bf16Value)],
  ])('%s, aligned or not', (dtype, array, expected) => {
    const bytes = bytesOfArray(array)
    expect(decodeF32(dtype, bytes)).toEqual(expected)
    expect(decodeF32(dtype, misaligned(bytes))).toEqual(expected)
    expect(decodeF32(dtype, new Uint8Array())).toHaveLength(0)
    const into = new Float32Array(0x1_0001).fill(7)
    expect(decodeF32(dtype, bytes, into)).toEqual(expected)
    expect(decodeF32(dtype, bytes, into.subarray(0, 1))).toEqual(expected)
  })

  test.each(['f16', 'bf16'] as const)('%s fills the given buffer, from where it begins', (dtype) => {
    const into = new Float32Array(8).fill(7)
    const values = decodeF32(dtype, new Uint8Array(4), into.subarray(3))
    expect(values.buffer).toBe(into.buffer)
    expect([...into]).toEqual([7, 7, 7, 0, 0, 7, 7, 7])
  })

  test.each<SourceDType>(['i64', 'i32', 'i16', 'i8', 'u8', 'u16', 'u32', 'u64', 'bool'])(
    'refuses %s',
    (dtype) => {
      expect(() => decodeF32(dtype, new Uint8Array(8))).toThrow(
        expect.objectContaining({ code: 'weights/dtype' }),
      )
    },
  )

  test('refuses part of an element, and an f64 beyond f32', () => {
    expect(() => decodeF32('f32', new Uint8Array(6))).toThrow(
      expect.objectContaining({ code: 'weights/format' }),
    )
    const wide = bytesOfArray(Float64Array.of(0, 1e39))
    expect(() => decodeF32('f64', wide)).toThrow(
      '[weights/range] f64 data[1]: expected a number that fits f32, got 1e+39. Load with a wider dtype, for example f32.',
    )
  })
})

describe('encodeF16', () => {
  test('rounds as the scalar codec does', () => {
    const values = Float32Array.of(0, -0, 1, 1 / 3, 65519, -65519, 2 ** -24, 2 ** -25, 2 ** -26, -1e-30)
    expect([...encodeF16(values, 'w')]).toEqual(Array.from(values, f16Bits))
    const into = new Uint16Array(12).fill(7)
    expect([...encodeF16(values, 'w', into)]).toEqual(Array.from(values, f16Bits))
    expect([...into.subarray(0, 11)]).toEqual([...Array.from(values, f16Bits), 7])
    expect([...encodeF16(values, 'w', into.subarray(0, 2))]).toEqual(Array.from(values, f16Bits))
  })

  test.each([65520, -65520, 2 ** 127, Infinity, -Infinity, NaN])('refuses %d and says where', (value) => {
    expect(() => encodeF16(Float32Array.of(0, 1, value), 'layers.0.weight')).toThrow(
      `[weights/range] layers.0.weight[2]: expected a number that fits f16, finite and below 65520, got ${value}.`,
    )
  })
})
