// What random weights must be: Philox (which has vectors of its own) and Box and Muller, in f64 and one number at a time.

import { philox } from '../../src/core/philox.ts'

/** Number `index` of a tensor, of mean 0 and deviation 1: eight numbers a block, two a word, 16 bits each. */
export function normalOf(seed: number, tensor: string, index: number): number {
  const word = philox([Math.floor(index / 8), 0, 0, 0], [seed, fnv1a(tensor)])[(index >> 1) & 3]!
  const high = Math.floor(word / 65_536)
  const radius = Math.sqrt(-2 * Math.log((high + 0.5) / 65_536))
  const angle = (2 * Math.PI * (word - high * 65_536 + 0.5)) / 65_536
  return radius * (index % 2 === 0 ? Math.cos(angle) : Math.sin(angle))
}

/** Of ASCII, by the book: xor a byte, multiply by the prime, 32 bits. */
export function fnv1a(text: string): number {
  let hash = 2_166_136_261n
  for (const char of text) hash = ((hash ^ BigInt(char.charCodeAt(0))) * 16_777_619n) & 0xffff_ffffn
  return Number(hash)
}
