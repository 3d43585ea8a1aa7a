// Element types, their sizes, and the codecs between their bytes and numbers.
// Not here: quantised block formats (they carry scales) and anything about devices.

/** Types that a graph value can have on a device. */
export type DType = 'f32' | 'f16' | 'i32' | 'u32'

/** Element types that a checkpoint can hold. */
export type SourceDType =
  | 'f64'
  | 'f32'
  | 'f16'
  | 'bf16'
  | 'i64'
  | 'i32'
  | 'i16'
  | 'i8'
  | 'u8'
  | 'u16'
  | 'u32'
  | 'u64'
  | 'bool'

const dtypeBytes: Record<SourceDType, number> = {
  f64: 8,
  f32: 4,
  f16: 2,
  bf16: 2,
  i64: 8,
  i32: 4,
  i16: 2,
  i8: 1,
  u8: 1,
  u16: 2,
  u32: 4,
  u64: 8,
  bool: 1,
}

/** Bytes of one element. */
export function bytesOf(dtype: SourceDType): number {
  return dtypeBytes[dtype]
}

const floatView = new Float32Array(1)
const bitsView = new Uint32Array(floatView.buffer)

/** f16 bits of a number, rounded to nearest even; magnitudes beyond 65504 + half an ulp become infinity. */
export function f16Bits(value: number): number {
  floatView[0] = value
  if (floatView[0] !== value) roundToOdd(value)
  const bits = bitsView[0]!
  const sign = (bits >>> 16) & 0x8000
  const magnitude = bits & 0x7fff_ffff
  if (magnitude > 0x7f80_0000) return sign | 0x7e00
  // 0x477ff000 is 65520, the first value that rounds to infinity.
  if (magnitude >= 0x477f_f000) return sign | 0x7c00
  if (magnitude < 0x3880_0000) {
    // Subnormal: adding 0.5 moves the f16 quantum 2^-24 onto the last f32 mantissa bit, which rounds to nearest even.
    floatView[0] = Math.abs(floatView[0]) + 0.5
    return sign | (bitsView[0]! - 0x3f00_0000)
  }
  const roundToEven = ((magnitude >>> 13) & 1) + 0xfff
  return sign | ((magnitude + roundToEven - 0x3800_0000) >>> 13)
}

/**
 * Replaces the view's nearest f32 by the one below in magnitude with its last bit set. That bit stands for
 * everything below it, so rounding on to f16 sees no false tie. NaN stays NaN.
 */
function roundToOdd(value: number): void {
  const nearest = floatView[0]!
  if (Math.abs(nearest) > Math.abs(value)) bitsView[0]!--
  bitsView[0]! |= 1
}

/** The number that f16 bits stand for. */
export function f16Value(bits: number): number {
  const sign = (bits & 0x8000) === 0 ? 1 : -1
  const exponent = (bits >>> 10) & 31
  const mantissa = bits & 1023
  if (exponent === 0) return sign * mantissa * 2 ** -24
  if (exponent === 31) return mantissa === 0 ? sign * Infinity : NaN
  return sign * (1 + mantissa / 1024) * 2 ** (exponent - 15)
}

/** The number that bf16 bits stand for. */
export function bf16Value(bits: number): number {
  bitsView[0] = bits << 16
  return floatView[0]!
}

let f16Table: Float32Array | undefined

/** All 65,536 f16 values by their bits; built once, since a look-up beats the arithmetic when streaming weights. */
export function f16ValueTable(): Float32Array {
  f16Table ??= Float32Array.from({ length: 0x1_0000 }, (_, bits) => f16Value(bits))
  return f16Table
}
