// SHA-256 as the cache needs it: at once over a chunk, and bit by bit over a file. An entry may inject a faster one.
import { sha256 as nobleSha256 } from '@noble/hashes/sha2.js'

interface Sha256 {
  update(bytes: Uint8Array): unknown
  /** 32 bytes. */
  digest(): Uint8Array
}

export interface Hashing {
  /** Of bytes that are there. */
  readonly sha256: (bytes: Uint8Array) => Promise<Uint8Array>
  /** Of bytes that come one after the other. */
  readonly createSha256: () => Sha256
}

/** JavaScript alone, some 140 MiB/s; whole chunks by Web Crypto, which is ten times as fast, where a page may use it. */
export const portableHashing: Hashing = {
  async sha256(bytes) {
    // Absent on pages that came over plain http.
    const { subtle } = globalThis.crypto as Partial<Crypto>
    if (subtle === undefined) return nobleSha256(bytes)
    return new Uint8Array(await subtle.digest('SHA-256', bytes as Uint8Array<ArrayBuffer>))
  },
  createSha256: () => nobleSha256.create(),
}

export function hexOf(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')
}
