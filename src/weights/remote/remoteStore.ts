// What the cache needs to know of files that come over a network, whoever serves them.
// Implementations: httpStore.ts, hub.ts; chunkCache.ts wraps them.
import type { ByteSource, FileStore } from '../../core/files.ts'

export interface RemoteSource extends ByteSource {
  /** Changes when the content does: an ETag, a date, a hash. Undefined where the server tells none. */
  readonly version: string | undefined
  /** Of the whole file, in lowercase hexadecimal digits, where the server tells it. */
  readonly sha256: string | undefined
  /** `onFilled` is told, as they come, how many of the bytes are there. */
  read(
    offset: number,
    length: number,
    signal?: AbortSignal,
    into?: Uint8Array,
    onFilled?: (bytes: number) => void,
  ): Promise<Uint8Array>
}

interface RemoteOpenOptions {
  /** The caller has a copy: only size and version are wanted, and the first network failure is the last. */
  readonly hasCopy?: boolean
}

/** What a folder on a server is called. */
export interface RemoteFolder {
  /** In a cache: the same for the same folder, whoever asks. */
  readonly folder: string
  /** As a caller of createEngine writes it: a hub id or an address, without secrets. */
  readonly model: string
  /** Of a hub repository. */
  readonly revision: string | undefined
}

/** A model folder on a server. */
export interface RemoteStore extends FileStore, RemoteFolder {
  open(path: string, options?: RemoteOpenOptions): Promise<RemoteSource | undefined>
}
