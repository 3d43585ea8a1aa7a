// A remote folder with a memory: what was read once is kept in a storage, survives the process, and serves without a
// network. Not here: the chunks of one file (chunkedSource.ts) and where they are kept (chunkStorage.ts).
//
// There is no list of chunks to keep up to date: each carries its own hash, so that a crash loses nothing but the chunk
// on its way, and two processes that load the same file only help each other.
import { RuntimeFault } from '../../core/errors.ts'
import type { ByteSource, FileStore } from '../../core/files.ts'
import { formatBytes } from '../../core/units.ts'
import { ChunkedSource, type ChunkFolder, type ChunkedSourceOptions } from './chunkedSource.ts'
import { ChunkMemory } from './chunkMemory.ts'
import {
  bytesOfChunks,
  chunkFolder,
  readManifest,
  storedChunks,
  writeManifest,
  type ChunkStorage,
  type FileManifest,
  type Manifest,
  type ManifestHead,
} from './chunkStorage.ts'
import type { RemoteSource, RemoteStore } from './remoteStore.ts'
import type { Hashing } from './sha256.ts'
import type { TransferMeter } from './transferMeter.ts'

/** With a storage: few requests and files, and little memory; a chunk is a second at 32 Mbit/s. */
const storedChunkBytes = 4 * 2 ** 20
/** Without: what is read out of order falls out of memory, so little is fetched beside what is asked for. */
const passingChunkBytes = 2 * 2 ** 20

/** Of chunks in memory. What falls out is read again from the storage, or fetched again where there is none. */
const storedMemoryBytes = 8 * 2 ** 20
const passingMemoryBytes = 8 * 2 ** 20

export interface ChunkCacheOptions {
  /** Undefined: nothing is kept. */
  readonly storage: ChunkStorage | undefined
  readonly hashing: Hashing
  readonly chunkBytes?: number
  /** Ends every request. */
  readonly signal?: AbortSignal | undefined
  /** Called once if the storage fails or has no room for a file, and once if a file has no version; loading goes on. */
  readonly onNotice?: ((message: string) => void) | undefined
  readonly meter?: TransferMeter | undefined
  /** Milliseconds since 1970. Default: the clock of the platform. */
  readonly now?: () => number
}

/** When a file was last used is noted this precisely: a manifest is not worth writing more often. */
const usedAtMs = 60_000

/** Throws as `remote` does, and `file/hash` for a file whose bytes are not what the server says they are. */
export function cachedStore(remote: RemoteStore, options: ChunkCacheOptions): FileStore {
  const cache = new ChunkCache(remote, options)
  return { name: remote.name, open: (path) => cache.open(path) }
}

type SourceLink = Omit<ChunkedSourceOptions, 'size' | 'sha256' | 'chunkBytes' | 'chunks' | 'meter'>

class ChunkCache {
  readonly #remote: RemoteStore
  readonly #options: ChunkCacheOptions
  readonly #memory: ChunkMemory
  #isFull = false
  /** Whether a file came without a version. */
  #isUnversioned = false
  /** Set by the first file that had to be served without the network: the others need not try, too. */
  #isOffline = false
  /** Bytes that files will yet write. */
  #reservedBytes = 0
  #turn: Promise<unknown> = Promise.resolve()

  constructor(remote: RemoteStore, options: ChunkCacheOptions) {
    this.#remote = remote
    this.#options = options
    this.#memory = new ChunkMemory(options.storage === undefined ? passingMemoryBytes : storedMemoryBytes)
  }

  async open(path: string): Promise<ByteSource | undefined> {
    const { storage } = this.#options
    const known = storage && (await this.#tried(() => this.#readManifest(storage, path)))
    if (storage === undefined || (known === undefined && this.#isFull)) return this.#openPassing(path)
    if (known !== undefined && this.#isOffline) return this.#openOffline(path, storage, known)
    let source: RemoteSource | undefined
    try {
      source = await this.#remote.open(path, { hasCopy: known !== undefined })
    } catch (error) {
      const isUnreachable = error instanceof RuntimeFault && error.code === 'file/network'
      if (!isUnreachable || known === undefined) throw error
      this.#isOffline = true
      return this.#openOffline(path, storage, known)
    }
    return this.#openOnline(path, storage, known, source)
  }

  #readManifest(storage: ChunkStorage, path: string): Promise<Manifest | undefined> {
    return readManifest(storage, this.#options.hashing, this.#remote.folder, path)
  }

  async #openPassing(path: string): Promise<ByteSource | undefined> {
    const source = await this.#remote.open(path)
    return source && this.#passing(path, source)
  }

  async #openOnline(
    path: string,
    storage: ChunkStorage,
    known: Manifest | undefined,
    source: RemoteSource | undefined,
  ): Promise<ByteSource | undefined> {
    const { hashing, chunkBytes = storedChunkBytes } = this.#options
    if (source !== undefined && source.version === undefined) {
      this.#noteUnversioned(path)
      return this.#passing(path, source)
    }
    const isSame =
      known?.kind === 'file' && known.version === source?.version && known.size === source.size
        ? known.sha256 === source.sha256
        : known?.kind === 'absent' && source === undefined
    const head = this.#headOf(path)
    let manifest: Manifest
    if (known !== undefined && isSame) manifest = await this.#touched(storage, known)
    else if (source?.version === undefined) manifest = { kind: 'absent', ...head }
    else {
      const { version, size, sha256 } = source
      manifest = { kind: 'file', ...head, version, size, chunkBytes, sha256, isVerified: false }
    }
    if (!isSame && known?.kind === 'file') await this.#tried(() => this.#removeChunks(storage, known))
    const present = manifest.kind === 'file' ? await this.#present(storage, manifest) : new Set<number>()
    if (manifest.kind === 'file') await this.#reserve(storage, manifest, present)
    if (!isSame && !this.#isFull) await this.#tried(() => writeManifest(storage, hashing, manifest))
    if (source === undefined || manifest.kind === 'absent') return undefined
    return this.#chunked(
      storage,
      manifest,
      present,
      this.#link(source.name, source, async () => source),
    )
  }

  #headOf(path: string): ManifestHead {
    const { folder, model, revision } = this.#remote
    const now = this.#options.now?.() ?? Date.now()
    return { folder, path, model, revision, usedAt: now - (now % usedAtMs) }
  }

  /** Notes the use. A storage that fails here may still be read. */
  async #touched<M extends Manifest>(storage: ChunkStorage, manifest: M): Promise<M> {
    const { usedAt } = this.#headOf(manifest.path)
    if (usedAt <= manifest.usedAt) return manifest
    const touched = { ...manifest, usedAt }
    await writeManifest(storage, this.#options.hashing, touched).catch(() => undefined)
    return touched
  }

  async #present(storage: ChunkStorage, manifest: FileManifest): Promise<Set<number>> {
    return (await this.#tried(() => storedChunks(storage, this.#options.hashing, manifest))) ?? new Set()
  }

  /** Gives the storage up unless it has room for what is missing of a file, beside other files that were opened. */
  async #reserve(storage: ChunkStorage, manifest: FileManifest, present: Set<number>): Promise<void> {
    const missing = manifest.size - bytesOfChunks(manifest, present)
    if (missing === 0 || this.#isFull) return
    const free = await storage.freeBytes().catch(() => undefined)
    const room = (free ?? Infinity) - this.#reservedBytes
    if (missing <= room) this.#reservedBytes += missing
    else
      this.#giveUp(
        `has no room for ${formatBytes(missing)} of ${manifest.path}, ${formatBytes(Math.max(0, room))} are left`,
      )
  }

  /** From the storage alone; the network is asked again only for chunks that are missing. */
  async #openOffline(path: string, storage: ChunkStorage, known: Manifest): Promise<ByteSource | undefined> {
    const manifest = await this.#touched(storage, known)
    if (manifest.kind === 'absent') return undefined
    const reopen = async (): Promise<RemoteSource> => {
      const source = await this.#remote.open(path)
      if (source?.version === manifest.version && source.size === manifest.size) return source
      await source?.close?.()
      throw new RuntimeFault('file/changed', {
        where: `${this.#remote.name}/${path}`,
        expected: `the file of ${manifest.size} bytes that is in the cache in part`,
        got: source === undefined ? 'no such file' : 'another one',
        fix: 'Load again from the start.',
      })
    }
    const present = await this.#present(storage, manifest)
    const link = this.#link(`${this.#remote.name}/${path}`, undefined, reopen)
    return this.#chunked(storage, manifest, present, link)
  }

  #passing(path: string, source: RemoteSource): ByteSource {
    const meter = this.#options.meter?.file(path, source.size, 0)
    return new ChunkedSource({
      ...this.#link(source.name, source, async () => source),
      meter,
      size: source.size,
      sha256: source.sha256,
      chunkBytes: this.#options.chunkBytes ?? passingChunkBytes,
      chunks: undefined,
    })
  }

  #chunked(
    storage: ChunkStorage,
    manifest: FileManifest,
    present: Set<number>,
    link: SourceLink,
  ): ByteSource {
    const { hashing } = this.#options
    const folder = chunkFolder(hashing, manifest)
    const { path, size, chunkBytes, sha256, isVerified } = manifest
    const bytesToVerify = sha256 === undefined || isVerified || this.#isFull ? 0 : size
    const meter = this.#options.meter?.file(path, size, bytesToVerify)
    const chunks: ChunkFolder = {
      storage,
      folder,
      present,
      isVerified,
      onVerified: async () => {
        await this.#tried(() => writeManifest(storage, hashing, { ...manifest, isVerified: true }))
      },
      discard: async () => {
        await this.#tried(() => this.#removeChunks(storage, manifest))
      },
      onWritten: (bytes) => (this.#reservedBytes = Math.max(0, this.#reservedBytes - bytes)),
      onFull: (cause) => this.#noteFailure(cause),
      isFull: () => this.#isFull,
    }
    return new ChunkedSource({ ...link, meter, size, sha256, chunkBytes, chunks })
  }

  /** What the chunks of a file need of the cache, and the file on the network: open, or opened when it is wanted. */
  #link(name: string, source: RemoteSource | undefined, open: () => Promise<RemoteSource>): SourceLink {
    const { hashing, signal } = this.#options
    let opened = source && Promise.resolve(source)
    return {
      name,
      hashing,
      signal,
      memory: this.#memory,
      remote: () => {
        opened ??= open().catch((error: unknown) => {
          opened = undefined
          throw error
        })
        return opened
      },
      closeRemote: async () => {
        const source = await opened?.catch(() => undefined)
        await source?.close?.()
      },
      inTurn: <T>(task: () => Promise<T>) => this.#inTurn(task),
    }
  }

  #inTurn<T>(task: () => Promise<T>): Promise<T> {
    const result = this.#turn.then(task)
    this.#turn = result.catch(() => {})
    return result
  }

  async #removeChunks(storage: ChunkStorage, manifest: FileManifest): Promise<void> {
    const folder = chunkFolder(this.#options.hashing, manifest)
    for (const name of await storage.list(folder)) await storage.delete(`${folder}/${name}`)
  }

  /** The result of a storage operation; undefined, and a notice, when the storage fails. */
  async #tried<T>(operation: () => Promise<T>): Promise<T | undefined> {
    try {
      return await operation()
    } catch (cause) {
      this.#noteFailure(cause)
      return undefined
    }
  }

  #noteFailure(cause: unknown): void {
    this.#giveUp(`cannot be written (${cause instanceof Error ? cause.message : String(cause)})`)
  }

  /** Once: the files of a server are alike. */
  #noteUnversioned(path: string): void {
    if (this.#isUnversioned) return
    this.#isUnversioned = true
    this.#options.onNotice?.(
      `The weight cache cannot keep files of ${this.#remote.name}, such as ${path}: their server gives neither ETag nor Last-Modified, which would tell when they change; they are fetched at every load.`,
    )
  }

  #giveUp(reason: string): void {
    if (this.#isFull) return
    this.#isFull = true
    this.#options.onNotice?.(`The weight cache ${reason}; loading goes on without it.`)
  }
}
