// The hash of a file whose chunks are not kept: they come in any order, some twice, and only the one that is next can be
// hashed. Not here: where the others come from again (chunkedSource.ts).
import { hexOf, type Hashing } from './sha256.ts'

export class PassingHash {
  readonly #hashing: Hashing
  readonly #hash: ReturnType<Hashing['createSha256']>
  /** Of every chunk that came: one that comes again must be the same, or the hash would be of others. */
  readonly #digests = new Map<number, string>()
  #numHashed = 0

  constructor(hashing: Hashing) {
    this.#hashing = hashing
    this.#hash = hashing.createSha256()
  }

  /** Chunks from the start of the file that are in the hash. */
  get numHashed(): number {
    return this.#numHashed
  }

  /** Takes a chunk; one call after the other. False where it came before, with other bytes. */
  async add(index: number, bytes: Uint8Array): Promise<boolean> {
    const digest = hexOf(await this.#hashing.sha256(bytes))
    const known = this.#digests.get(index)
    if (known !== undefined && known !== digest) return false
    this.#digests.set(index, digest)
    if (index === this.#numHashed) {
      this.#hash.update(bytes)
      this.#numHashed++
    }
    return true
  }

  /** Of the whole file, in hexadecimal digits; to be called once, when all chunks are in. */
  digest(): string {
    return hexOf(this.#hash.digest())
  }
}
