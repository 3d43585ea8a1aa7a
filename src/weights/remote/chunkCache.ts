// A remote folder with a memory: what was read once is kept in a storage, survives the process, and serves without a
// network. Not here: the chunks of one file (chunkedSource.ts) and where they are kept (chunkStorage.ts).
//
// There is no list of chunks to keep up to date: each carries its own hash, so that a crash loses nothing but the chunk
// on its way, and two processes that load the same file only help each other.
import { RuntimeFault } from '../../core/errors.ts'
import type { ByteSource, FileStore } from '../../core/files.ts'
import { ChunkedSource, type ChunkFolder, type ChunkedSourceOptions } from './chunkedSource.ts'
import {
  chunkFolder,
  readManifest,
  writeManifest,
  type ChunkStorage,
  type FileManifest,
  type Manifest,
} from './chunkStorage.ts'
import type { RemoteSource, RemoteStore } from './remoteStore.ts'
import type { Hashing } from './sha256.ts'

/** With a storage: few requests and files, and little memory; a chunk is a second at 32 Mbit/s. */
const storedChunkBytes = 4 * 2 ** 20
/** Without: what is read out of order falls out of memory, so little is fetched beside what is asked for. */
const passingChunkBytes = 2 * 2 ** 20

export interface ChunkCacheOptions {
  /** Undefined: nothing is kept. */
  readonly storage: ChunkStorage | undefined
  readonly hashing: Hashing
  readonly chunkBytes?: number
  /** Ends every request. */
  readonly signal?: AbortSignal | undefined
  /** Called once if the storage fails; loading goes on without it. */
  readonly onNotice?: ((message: string) => void) | undefined
}

/** Throws as `remote` does, and `file/hash` for a file whose bytes are not what the server says they are. */
export function cachedStore(remote: RemoteStore, options: ChunkCacheOptions): FileStore {
  const cache = new ChunkCache(remote, options)
  return { name: remote.name, open: (path) => cache.open(path) }
}

type SourceLink = Omit<ChunkedSourceOptions, 'size' | 'chunkBytes' | 'chunks'>

class ChunkCache {
  readonly #remote: RemoteStore
  readonly #options: ChunkCacheOptions
  #isFull = false
  /** Set by the first file that had to be served without the network: the others need not try, too. */
  #isOffline = false
  #turn: Promise<unknown> = Promise.resolve()

  constructor(remote: RemoteStore, options: ChunkCacheOptions) {
    this.#remote = remote
    this.#options = options
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
    return readManifest(storage, this.#options.hashing, this.#remote.keyOf(path))
  }

  async #openPassing(path: string): Promise<ByteSource | undefined> {
    const source = await this.#remote.open(path)
    return source && this.#passing(source)
  }

  async #openOnline(
    path: string,
    storage: ChunkStorage,
    known: Manifest | undefined,
    source: RemoteSource | undefined,
  ): Promise<ByteSource | undefined> {
    const { hashing, chunkBytes = storedChunkBytes } = this.#options
    const key = this.#remote.keyOf(path)
    if (source !== undefined && source.version === undefined) return this.#passing(source)
    const isSame =
      known?.kind === 'file' && known.version === source?.version && known.size === source.size
        ? known.sha256 === source.sha256
        : known?.kind === 'absent' && source === undefined
    let manifest: Manifest
    if (known !== undefined && isSame) manifest = known
    else if (source?.version === undefined) manifest = { kind: 'absent', key }
    else {
      const { version, size, sha256 } = source
      manifest = { kind: 'file', key, version, size, chunkBytes, sha256, isVerified: false }
    }
    if (!isSame) {
      await this.#tried(async () => {
        if (known?.kind === 'file') await this.#removeChunks(storage, known)
        await writeManifest(storage, hashing, manifest)
      })
    }
    if (source === undefined || manifest.kind === 'absent') return undefined
    return this.#chunked(
      storage,
      manifest,
      this.#link(source.name, source, async () => source),
    )
  }

  /** From the storage alone; the network is asked again only for chunks that are missing. */
  async #openOffline(path: string, storage: ChunkStorage, known: Manifest): Promise<ByteSource | undefined> {
    if (known.kind === 'absent') return undefined
    const reopen = async (): Promise<RemoteSource> => {
      const source = await this.#remote.open(path)
      if (source?.version === known.version && source.size === known.size) return source
      await source?.close?.()
      throw new RuntimeFault('file/changed', {
        where: known.key,
        expected: `the file of ${known.size} bytes that is in the cache in part`,
        got: source === undefined ? 'no such file' : 'another one',
        fix: 'Load again from the start.',
      })
    }
    return this.#chunked(storage, known, this.#link(`${this.#remote.name}/${path}`, undefined, reopen))
  }

  #passing(source: RemoteSource): ByteSource {
    return new ChunkedSource({
      ...this.#link(source.name, source, async () => source),
      size: source.size,
      chunkBytes: this.#options.chunkBytes ?? passingChunkBytes,
      chunks: undefined,
    })
  }

  async #chunked(storage: ChunkStorage, manifest: FileManifest, link: SourceLink): Promise<ByteSource> {
    const { hashing } = this.#options
    const folder = chunkFolder(hashing, manifest)
    const { size, chunkBytes, sha256, isVerified } = manifest
    const numChunks = Math.ceil(size / chunkBytes)
    const names = (await this.#tried(() => storage.list(folder))) ?? []
    const indices = names.filter((text) => /^\d+$/.test(text) && Number(text) < numChunks).map(Number)
    const chunks: ChunkFolder = {
      storage,
      folder,
      present: new Set(indices),
      sha256,
      isVerified,
      onVerified: async () => {
        await this.#tried(() => writeManifest(storage, hashing, { ...manifest, isVerified: true }))
      },
      discard: async () => {
        await this.#tried(() => this.#removeChunks(storage, manifest))
      },
      onFull: (cause) => this.#noteFailure(cause),
      isFull: () => this.#isFull,
    }
    return new ChunkedSource({ ...link, size, chunkBytes, chunks })
  }

  /** What the chunks of a file need of the cache, and the file on the network: open, or opened when it is wanted. */
  #link(name: string, source: RemoteSource | undefined, open: () => Promise<RemoteSource>): SourceLink {
    const { hashing, signal } = this.#options
    let opened = source && Promise.resolve(source)
    return {
      name,
      hashing,
      signal,
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
    if (this.#isFull) return
    this.#isFull = true
    const reason = cause instanceof Error ? cause.message : String(cause)
    this.#options.onNotice?.(`The weight cache cannot be written (${reason}); loading goes on without it.`)
  }
}
