// Seeded random numbers for tests. Not cryptographic, not the sampler's generator.

export interface Random {
  /** Uniform in [0, 1). */
  next(): number
  /** Standard normal. */
  normal(): number
  /** Integer in [0, limit). */
  integer(limit: number): number
  normals(length: number, scale?: number): Float32Array
}

/** mulberry32. */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = state
    t = Math.imul(t ^ (t >>> 15), t | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
  const normal = (): number => Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next())
  return {
    next,
    normal,
    integer: (limit) => Math.floor(next() * limit),
    normals: (length, scale = 1) => Float32Array.from({ length }, () => normal() * scale),
  }
}
