// What the cache needs to know of files that come over a network, whoever serves them.
// Implementations: httpStore.ts, hub.ts; chunkCache.ts wraps them.
import type { ByteSource, FileStore } from '../../core/files.ts'

export interface RemoteSource extends ByteSource {
  /** Changes when the content does: an ETag, a date, a hash. Undefined where the server tells none. */
  readonly version: string | undefined
  /** Of the whole file, in lowercase hexadecimal digits, where the server tells it. */
  readonly sha256: string | undefined
}

interface RemoteOpenOptions {
  /** The caller has a copy: only size and version are wanted, and the first network failure is the last. */
  readonly hasCopy?: boolean
}

/** A model folder on a server. */
export interface RemoteStore extends FileStore {
  open(path: string, options?: RemoteOpenOptions): Promise<RemoteSource | undefined>
  /** What a file is called in a cache: the same for the same file, whoever asks. */
  keyOf(path: string): string
}
