// A file in chunks: the last few in memory, all of them in a storage if there is one, fetched where neither has them.
// Reads that go on where the last one ended fetch the next chunk ahead, so that network and upload overlap.
// Not here: which version of a file the chunks belong to (chunkCache.ts).
import { RuntimeFault, throwIfCancelled } from '../../core/errors.ts'
import { readExactly, type ByteSource } from '../../core/files.ts'
import { onAbort } from '../../core/onAbort.ts'
import { untilCancelled } from '../../core/untilCancelled.ts'
import type { ChunkMemory, HeldChunk } from './chunkMemory.ts'
import { PassingHash } from './passingHash.ts'
import { readSealed, sealedBytes, writeSealed, type ChunkStorage } from './chunkStorage.ts'
import type { RemoteSource } from './remoteStore.ts'
import { hexOf, type Hashing } from './sha256.ts'
import type { FileMeter } from './transferMeter.ts'

/** Stored chunks of one version of a file. */
export interface ChunkFolder {
  readonly storage: ChunkStorage
  readonly folder: string
  /** Indices of the chunks that the storage has. */
  readonly present: Set<number>
  /** Whether all chunks have been compared with the hash of the file. */
  readonly isVerified: boolean
  readonly onVerified: () => Promise<void>
  /** Removes the file and all its chunks. */
  readonly discard: () => Promise<void>
  /** Told how many bytes of the file were written. */
  readonly onWritten: (bytes: number) => void
  /** Told when a write fails; there will be no more. */
  readonly onFull: (cause: unknown) => void
  readonly isFull: () => boolean
}

export interface ChunkedSourceOptions {
  readonly name: string
  readonly size: number
  /** Of the whole file, if it is known. */
  readonly sha256: string | undefined
  readonly chunkBytes: number
  readonly hashing: Hashing
  /** Shared by the files of a model. */
  readonly memory: ChunkMemory
  readonly signal: AbortSignal | undefined
  /** The file on the network; asked for when a chunk is missing. */
  readonly remote: () => Promise<RemoteSource>
  readonly closeRemote: () => Promise<void>
  readonly chunks: ChunkFolder | undefined
  /** Runs one task after the other: at most one chunk is on its way, so at most one is lost when the process dies. */
  readonly inTurn: <T>(task: () => Promise<T>) => Promise<T>
  readonly meter: FileMeter | undefined
}

export class ChunkedSource implements ByteSource {
  readonly name: string
  readonly size: number
  readonly #options: ChunkedSourceOptions
  readonly #numChunks: number
  readonly #closing = new AbortController()
  readonly #unlisten: () => void
  #lastIndex: number | undefined
  #isVerified: boolean
  /** Where chunks are not kept and the hash of the file is known. */
  #passing: PassingHash | undefined
  /** Why no read can succeed any more. */
  #fault: RuntimeFault | undefined

  constructor(options: ChunkedSourceOptions) {
    this.name = options.name
    this.size = options.size
    this.#options = options
    this.#numChunks = Math.ceil(options.size / options.chunkBytes)
    const { chunks, sha256 } = options
    this.#isVerified = sha256 === undefined || chunks?.isVerified === true
    if (!this.#isVerified && (chunks === undefined || chunks.isFull())) {
      this.#passing = new PassingHash(options.hashing)
    }
    this.#unlisten = onAbort(options.signal, () => this.#closing.abort())
    if (options.signal?.aborted === true) this.#closing.abort()
  }

  async read(offset: number, length: number, signal?: AbortSignal, into?: Uint8Array): Promise<Uint8Array> {
    const bytes =
      into !== undefined && into.byteLength >= length ? into.subarray(0, length) : new Uint8Array(length)
    const { chunkBytes } = this.#options
    for (let filled = 0; filled < length;) {
      const index = Math.floor((offset + filled) / chunkBytes)
      const start = offset + filled - index * chunkBytes
      const part = bytes.subarray(filled, filled + chunkBytes - start)
      await this.#copy(index, start, part, signal)
      filled += part.byteLength
    }
    return bytes
  }

  async verify(signal?: AbortSignal): Promise<void> {
    const { chunks, hashing, inTurn } = this.#options
    if (this.#fault !== undefined) throw this.#fault
    if (this.#isVerified) return
    if (chunks !== undefined && !chunks.isFull()) {
      try {
        for (let index = 0; index < this.#numChunks; index++) {
          if (!chunks.present.has(index)) await this.#fetch(index, signal)
        }
      } catch (error) {
        // What is there was compared chunk by chunk, and serves without a network.
        if (error instanceof RuntimeFault && error.code === 'file/network') return
        throw error
      }
      await inTurn(() => this.#verify())
      if (this.#isVerified) return
    }
    // Also where the storage failed in between.
    const passing = (this.#passing ??= new PassingHash(hashing))
    await inTurn(() => this.#hashLoaded(passing))
    while (passing.numHashed < this.#numChunks) await this.#fetch(passing.numHashed, signal)
    await inTurn(() => this.#comparePassed(passing))
  }

  async close(): Promise<void> {
    this.#unlisten()
    this.#closing.abort()
    await this.#options.memory.forgetFile(this)
    await this.#options.closeRemote()
  }

  /** Fills `target` from byte `start` of a chunk. */
  async #copy(
    index: number,
    start: number,
    target: Uint8Array,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const chunk = this.#hold(index)
    const isSequential = this.#lastIndex !== undefined && index === this.#lastIndex + 1
    this.#lastIndex = index
    if (isSequential && index + 1 < this.#numChunks) this.#hold(index + 1).release()
    try {
      const bytes = await untilCancelled(chunk.bytes, this.name, signal)
      if (this.#fault !== undefined) throw this.#fault
      target.set(bytes.subarray(start, start + target.byteLength))
    } finally {
      chunk.release()
    }
  }

  /** Has a chunk loaded, for what loading it does. */
  async #fetch(index: number, signal: AbortSignal | undefined): Promise<void> {
    const chunk = this.#hold(index)
    try {
      await untilCancelled(chunk.bytes, this.name, signal)
    } finally {
      chunk.release()
    }
  }

  #hold(index: number): HeldChunk {
    const { memory, inTurn, chunkBytes } = this.#options
    const bufferBytes = sealedBytes(Math.min(chunkBytes, this.size))
    return memory.hold(this, index, bufferBytes, (into) => inTurn(() => this.#obtain(index, into)))
  }

  async #obtain(index: number, into: Uint8Array<ArrayBuffer>): Promise<Uint8Array> {
    throwIfCancelled(this.#closing.signal, this.name)
    if (this.#fault !== undefined) throw this.#fault
    const { meter } = this.#options
    const stored = await this.#stored(index, into)
    if (stored !== undefined) meter?.addChunk(index, stored.byteLength, true)
    const bytes = stored ?? (await this.#fetched(index, into))
    if (this.#passing === undefined) await this.#verify()
    else await this.#pass(this.#passing, index, bytes)
    return bytes
  }

  #keyOf(index: number, { folder }: ChunkFolder): string {
    return `${folder}/${index}`
  }

  #lengthOf(index: number): number {
    const { chunkBytes } = this.#options
    return Math.min(chunkBytes, this.size - index * chunkBytes)
  }

  /** A chunk from the storage; one that is damaged counts as absent. */
  async #stored(index: number, into: Uint8Array<ArrayBuffer>): Promise<Uint8Array | undefined> {
    const { chunks, hashing } = this.#options
    if (chunks === undefined || !chunks.present.has(index)) return undefined
    const key = this.#keyOf(index, chunks)
    const bytes = await readSealed(chunks.storage, hashing, key, into).catch(() => undefined)
    if (bytes?.byteLength === this.#lengthOf(index)) return bytes
    chunks.present.delete(index)
    return undefined
  }

  async #fetched(index: number, into: Uint8Array<ArrayBuffer>): Promise<Uint8Array> {
    const { chunkBytes, remote, chunks, hashing, meter } = this.#options
    const source = await remote()
    const length = this.#lengthOf(index)
    const metered: ByteSource = {
      name: source.name,
      size: source.size,
      read: (offset, length, signal, into) =>
        source.read(offset, length, signal, into, (filled) => meter?.addChunk(index, filled, false)),
    }
    const bytes = await readExactly(metered, index * chunkBytes, length, this.#closing.signal, into)
    meter?.addChunk(index, length, false)
    // Whatever was compared before: these bytes came now.
    this.#isVerified = this.#options.sha256 === undefined
    if (chunks === undefined || chunks.isFull()) return bytes
    const key = this.#keyOf(index, chunks)
    try {
      await writeSealed(chunks.storage, hashing, key, bytes)
      chunks.present.add(index)
      chunks.onWritten(length)
    } catch (cause) {
      chunks.onFull(cause)
    }
    return bytes
  }

  /** Once every chunk is stored, compares the whole file with its hash: reads may come in any order, hashing may not. */
  async #verify(): Promise<void> {
    const { chunks, hashing } = this.#options
    if (this.#isVerified || chunks === undefined || chunks.present.size < this.#numChunks) return
    const hash = hashing.createSha256()
    const buffer = new Uint8Array(sealedBytes(this.#options.chunkBytes))
    for (let index = 0; index < this.#numChunks; index++) {
      throwIfCancelled(this.#closing.signal, this.name)
      const bytes = await this.#stored(index, buffer)
      // A chunk that is lost again will be fetched again, and then everything is compared again.
      if (bytes === undefined) return
      hash.update(bytes)
      this.#options.meter?.addVerified(bytes.byteLength)
    }
    await this.#compare(hexOf(hash.digest()))
    await chunks.onVerified()
  }

  /** Hashes a chunk that is not kept, and those after it that came before it. */
  async #pass(passing: PassingHash, index: number, bytes: Uint8Array): Promise<void> {
    if (!(await passing.add(index, bytes))) {
      this.#fault = new RuntimeFault('file/changed', {
        where: this.name,
        expected: `the same bytes at ${index * this.#options.chunkBytes} as before`,
        got: 'others',
        fix: 'Load again. If it happens again, the server gives wrong bytes.',
      })
      throw this.#fault
    }
    await this.#hashLoaded(passing)
    if (passing.numHashed === this.#numChunks) await this.#comparePassed(passing)
  }

  async #hashLoaded(passing: PassingHash): Promise<void> {
    for (;;) {
      const chunk = this.#options.memory.holdLoaded(this, passing.numHashed)
      if (chunk === undefined) return
      try {
        await passing.add(passing.numHashed, await chunk.bytes)
      } finally {
        chunk.release()
      }
    }
  }

  async #comparePassed(passing: PassingHash): Promise<void> {
    if (!this.#isVerified) await this.#compare(passing.digest())
  }

  async #compare(got: string): Promise<void> {
    const { sha256, chunks } = this.#options
    this.#isVerified = true
    if (got === sha256) return
    this.#fault = new RuntimeFault('file/hash', {
      where: this.name,
      expected: `SHA-256 ${sha256}`,
      got,
      fix: 'Load again; nothing of it was kept. If it happens again, the server gives wrong bytes.',
    })
    await chunks?.discard()
    throw this.#fault
  }
}
