// GGUF blocks → f32. Every function fills `values` from `data`, which holds exactly the blocks of those values.
// Products and sums are exact in f64 and rounded once by the store, so results equal the f32 arithmetic of the
// reference bit by bit. Not here: which blocks a range of elements needs (tensorReader.ts).
import { f16ValueTable } from '../../core/dtype.ts'

export type Dequantize = (data: Uint8Array, values: Float32Array) => void

// Blocks open with f16 scales. A block of the K types is 256 elements in 8 sub-blocks of 32.

/** Q4_0: scale, then 16 bytes; low nibbles are elements 0–15, high ones 16–31, both less 8. */
export function dequantizeQ4Signed(data: Uint8Array, values: Float32Array): void {
  const f16 = f16ValueTable()
  for (let at = 0, to = 0; to < values.length; at += 18, to += 32) {
    const scale = f16[data[at]! | (data[at + 1]! << 8)]!
    for (let i = 0; i < 16; i++) {
      const byte = data[at + 2 + i]!
      values[to + i] = scale * ((byte & 15) - 8)
      values[to + 16 + i] = scale * ((byte >> 4) - 8)
    }
  }
}

/** Q4_1: scale, minimum, then nibbles as in Q4_0, added to the minimum. */
export function dequantizeQ4Offset(data: Uint8Array, values: Float32Array): void {
  const f16 = f16ValueTable()
  for (let at = 0, to = 0; to < values.length; at += 20, to += 32) {
    const scale = f16[data[at]! | (data[at + 1]! << 8)]!
    const min = f16[data[at + 2]! | (data[at + 3]! << 8)]!
    for (let i = 0; i < 16; i++) {
      const byte = data[at + 4 + i]!
      values[to + i] = scale * (byte & 15) + min
      values[to + 16 + i] = scale * (byte >> 4) + min
    }
  }
}

/** Q5_0: scale, 32 fifth bits, nibbles as in Q4_0; less 16. */
export function dequantizeQ5Signed(data: Uint8Array, values: Float32Array): void {
  const f16 = f16ValueTable()
  for (let at = 0, to = 0; to < values.length; at += 22, to += 32) {
    const scale = f16[data[at]! | (data[at + 1]! << 8)]!
    const high = fifthBits(data, at + 2)
    for (let i = 0; i < 16; i++) {
      const byte = data[at + 6 + i]!
      values[to + i] = scale * (((byte & 15) | (((high >>> i) & 1) << 4)) - 16)
      values[to + 16 + i] = scale * (((byte >> 4) | (((high >>> (i + 16)) & 1) << 4)) - 16)
    }
  }
}

/** Q5_1: scale, minimum, fifth bits, nibbles; added to the minimum. */
export function dequantizeQ5Offset(data: Uint8Array, values: Float32Array): void {
  const f16 = f16ValueTable()
  for (let at = 0, to = 0; to < values.length; at += 24, to += 32) {
    const scale = f16[data[at]! | (data[at + 1]! << 8)]!
    const min = f16[data[at + 2]! | (data[at + 3]! << 8)]!
    const high = fifthBits(data, at + 4)
    for (let i = 0; i < 16; i++) {
      const byte = data[at + 8 + i]!
      values[to + i] = scale * ((byte & 15) | (((high >>> i) & 1) << 4)) + min
      values[to + 16 + i] = scale * ((byte >> 4) | (((high >>> (i + 16)) & 1) << 4)) + min
    }
  }
}

function fifthBits(data: Uint8Array, at: number): number {
  return data[at]! | (data[at + 1]! << 8) | (data[at + 2]! << 16) | (data[at + 3]! << 24)
}

/** Q8_0: scale, then 32 signed bytes. */
export function dequantizeQ8(data: Uint8Array, values: Float32Array): void {
  const f16 = f16ValueTable()
  const signed = new Int8Array(data.buffer, data.byteOffset, data.byteLength)
  for (let at = 0, to = 0; to < values.length; at += 34, to += 32) {
    const scale = f16[data[at]! | (data[at + 1]! << 8)]!
    for (let i = 0; i < 32; i++) values[to + i] = scale * signed[at + 2 + i]!
  }
}

/** Q4_K: scale and minimum of the block, 6-bit scales and minima of sub-blocks, 4 × 32 bytes of two sub-blocks each. */
export function dequantizeQ4K(data: Uint8Array, values: Float32Array): void {
  const f16 = f16ValueTable()
  for (let at = 0, to = 0; to < values.length; at += 144, to += 256) {
    const blockScale = f16[data[at]! | (data[at + 1]! << 8)]!
    const blockMin = f16[data[at + 2]! | (data[at + 3]! << 8)]!
    for (let sub = 0; sub < 8; sub++) {
      const scale = blockScale * subScale(data, at + 4, sub)
      const min = blockMin * subMin(data, at + 4, sub)
      const from = at + 16 + (sub >> 1) * 32
      const shift = (sub & 1) * 4
      const first = to + sub * 32
      for (let i = 0; i < 32; i++) values[first + i] = scale * ((data[from + i]! >> shift) & 15) - min
    }
  }
}

/** Q5_K: as Q4_K, with 32 bytes before the nibbles whose bit `s` is the fifth of sub-block `s`. */
export function dequantizeQ5K(data: Uint8Array, values: Float32Array): void {
  const f16 = f16ValueTable()
  for (let at = 0, to = 0; to < values.length; at += 176, to += 256) {
    const blockScale = f16[data[at]! | (data[at + 1]! << 8)]!
    const blockMin = f16[data[at + 2]! | (data[at + 3]! << 8)]!
    for (let sub = 0; sub < 8; sub++) {
      const scale = blockScale * subScale(data, at + 4, sub)
      const min = blockMin * subMin(data, at + 4, sub)
      const from = at + 48 + (sub >> 1) * 32
      const shift = (sub & 1) * 4
      const first = to + sub * 32
      for (let i = 0; i < 32; i++) {
        const fifth = ((data[at + 16 + i]! >> sub) & 1) << 4
        values[first + i] = scale * (((data[from + i]! >> shift) & 15) | fifth) - min
      }
    }
  }
}

/** The 6-bit scale of a sub-block: four in six bits of a byte each, four in a nibble plus those bytes' upper two bits. */
function subScale(data: Uint8Array, at: number, sub: number): number {
  if (sub < 4) return data[at + sub]! & 63
  return (data[at + 4 + sub]! & 15) | ((data[at + sub - 4]! >> 2) & 48)
}

/** As `subScale`, for minima. */
function subMin(data: Uint8Array, at: number, sub: number): number {
  if (sub < 4) return data[at + 4 + sub]! & 63
  return (data[at + 4 + sub]! >> 4) | ((data[at + sub]! >> 2) & 48)
}

/** Q6_K: 128 bytes of nibbles, 64 bytes of upper bit pairs, 16 signed scales of 16 elements each, then the block scale. */
export function dequantizeQ6K(data: Uint8Array, values: Float32Array): void {
  const f16 = f16ValueTable()
  const signed = new Int8Array(data.buffer, data.byteOffset, data.byteLength)
  for (let at = 0, to = 0; to < values.length; at += 210, to += 256) {
    const blockScale = f16[data[at + 208]! | (data[at + 209]! << 8)]!
    for (let part = 0; part < 16; part++) {
      const scale = blockScale * signed[at + 192 + part]!
      // Half of the block, quarter of the half, half of the quarter.
      const half = part >> 3
      const quarter = (part >> 1) & 3
      const offset = (part & 1) * 16
      const low = at + half * 64 + (quarter & 1) * 32 + offset
      const high = at + 128 + half * 32 + offset
      const lowShift = (quarter >> 1) * 4
      const highShift = quarter * 2
      const first = to + part * 16
      for (let i = 0; i < 16; i++) {
        const bits = ((data[low + i]! >> lowShift) & 15) | (((data[high + i]! >> highShift) & 3) << 4)
        values[first + i] = scale * (bits - 32)
      }
    }
  }
}
