// Philox-4x32-10 (Salmon et al., SC 2011): a counter-based generator, so that a random number depends only on
// (seed, token index, vocabulary id) and never on who else is in the batch. The WGSL twin is shaders/lib/philox.wgsl.

const multiplier0 = 0xd251_1f53
const multiplier1 = 0xcd9e_8d57
const weyl0 = 0x9e37_79b9
const weyl1 = 0xbb67_ae85

/** High 32 bits of the 64-bit product of two u32. */
function mulHigh(a: number, b: number): number {
  const aLow = a & 0xffff
  const aHigh = a >>> 16
  const bLow = b & 0xffff
  const bHigh = b >>> 16
  const low = aLow * bLow
  const middle = aHigh * bLow + (low >>> 16)
  const middle2 = aLow * bHigh + (middle & 0xffff)
  return (aHigh * bHigh + Math.floor(middle / 0x1_0000) + (middle2 >>> 16)) >>> 0
}

/** Four random u32 for a counter of four u32 and a key of two u32. */
export function philox(
  counter: readonly [number, number, number, number],
  key: readonly [number, number],
): [number, number, number, number] {
  let [c0, c1, c2, c3] = counter
  let [k0, k1] = key
  for (let round = 0; round < 10; round++) {
    const high0 = mulHigh(multiplier0, c0)
    const low0 = Math.imul(multiplier0, c0) >>> 0
    const high1 = mulHigh(multiplier1, c2)
    const low1 = Math.imul(multiplier1, c2) >>> 0
    c0 = (high1 ^ c1 ^ k0) >>> 0
    c1 = low1
    c2 = (high0 ^ c3 ^ k1) >>> 0
    c3 = low0
    k0 = (k0 + weyl0) >>> 0
    k1 = (k1 + weyl1) >>> 0
  }
  return [c0, c1, c2, c3]
}

/** Uniform in (0, 1), exact in f32: the top 23 bits, centred. */
export function uniform(bits: number): number {
  return ((bits >>> 9) + 0.5) * 2 ** -23
}
