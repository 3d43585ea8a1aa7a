// The last few chunks of a model's files, in buffers that are used again, so that streaming makes little garbage.
// Readers copy out of a chunk while they hold it; no view of it stays with them.

import { BufferPool } from '../../core/bufferPool.ts'

/** Gives the bytes of a chunk, which may lie in `into`. */
type LoadChunk = (into: Uint8Array<ArrayBuffer>) => Promise<Uint8Array>

export interface HeldChunk {
  readonly bytes: Promise<Uint8Array>
  /** To be called once, when nothing is read from the chunk any more. */
  release(): void
}

interface Entry {
  readonly file: object
  readonly index: number
  readonly bytes: Promise<Uint8Array>
  readonly buffer: Uint8Array<ArrayBuffer>
  isLoaded: boolean
  /** Readers, the load, and the memory itself. */
  numHolders: number
}

/** Kept whatever their size: the chunk that is read and the one that is fetched ahead. */
const minChunks = 2

export class ChunkMemory {
  readonly #maxBytes: number
  readonly #buffers = new BufferPool((bytes) => bytes)
  /** Least recently used first. */
  readonly #entries = new Set<Entry>()
  /** Of the buffers of entries. */
  #bytes = 0

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes
  }

  /**
   * A chunk of a file, loaded into a buffer of `bufferBytes` unless it is here. One that fails is forgotten, so that the
   * next read tries anew.
   */
  hold(file: object, index: number, bufferBytes: number, load: LoadChunk): HeldChunk {
    const entry = this.#find(file, index) ?? this.#begin(file, index, bufferBytes, load)
    this.#entries.delete(entry)
    this.#entries.add(entry)
    entry.numHolders++
    for (const oldest of this.#entries) {
      if (this.#bytes <= this.#maxBytes || this.#entries.size <= minChunks) break
      this.#forget(oldest)
    }
    return { bytes: entry.bytes, release: () => this.#release(entry) }
  }

  /** A chunk that is here and not on its way. */
  holdLoaded(file: object, index: number): HeldChunk | undefined {
    const entry = this.#find(file, index)
    if (entry?.isLoaded !== true) return undefined
    entry.numHolders++
    return { bytes: entry.bytes, release: () => this.#release(entry) }
  }

  /** Forgets the chunks of a file once none is on its way. */
  async forgetFile(file: object): Promise<void> {
    const own = [...this.#entries].filter((entry) => entry.file === file)
    await Promise.allSettled(own.map(({ bytes }) => bytes))
    for (const entry of own) this.#forget(entry)
  }

  #find(file: object, index: number): Entry | undefined {
    for (const entry of this.#entries) if (entry.file === file && entry.index === index) return entry
    return undefined
  }

  #begin(file: object, index: number, bufferBytes: number, load: LoadChunk): Entry {
    const buffer = this.#buffers.take(bufferBytes)
    this.#bytes += buffer.byteLength
    const entry: Entry = { file, index, buffer, bytes: load(buffer), isLoaded: false, numHolders: 2 }
    entry.bytes.then(
      () => {
        entry.isLoaded = true
        this.#release(entry)
      },
      () => {
        this.#forget(entry)
        this.#release(entry)
      },
    )
    return entry
  }

  #forget(entry: Entry): void {
    if (!this.#entries.delete(entry)) return
    this.#bytes -= entry.buffer.byteLength
    this.#release(entry)
  }

  #release(entry: Entry): void {
    if (--entry.numHolders === 0) this.#buffers.give(entry.buffer)
  }
}
