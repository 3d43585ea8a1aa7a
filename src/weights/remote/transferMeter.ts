// Counts what a load reads over a network or from the cache, and what it compares with a hash.
// Not here: how often a caller hears of it, and what else a load does (api/loadProgress.ts).

/** The phases of a load that move files. Bytes are of all files together. */
export type TransferProgress =
  | {
      /** Bytes of the model's files come, over the network or from the cache, and are uploaded as they come. */
      readonly phase: 'download'
      readonly loadedBytes: number
      readonly totalBytes: number
      /** Of `loadedBytes`, those that the cache had. */
      readonly cachedBytes: number
    }
  | {
      /** Whole files are compared with their SHA-256: once, when all of a file is in the cache. */
      readonly phase: 'verify'
      readonly loadedBytes: number
      readonly totalBytes: number
    }

/** Counts one file, whoever reads it and however often. */
export interface FileMeter {
  /** So many bytes of a chunk have come. */
  addChunk(index: number, bytes: number, isCached: boolean): void
  addVerified(bytes: number): void
}

/** Shares never fall, and nothing is told before the weights are found: the files before them are a small part. */
export class TransferMeter {
  readonly #report: (progress: TransferProgress) => void
  readonly #files = new Map<string, FileMeter>()
  #hasWeights = false
  #totalBytes = 0
  #loadedBytes = 0
  #cachedBytes = 0
  #bytesToVerify = 0
  #verifiedBytes = 0
  #share = 0

  constructor(report: (progress: TransferProgress) => void) {
    this.#report = report
  }

  /** A file was opened. `bytesToVerify`: its size, or 0 if it will not be compared with a hash. */
  file(path: string, bytes: number, bytesToVerify: number): FileMeter {
    const known = this.#files.get(path)
    if (known !== undefined) return known
    this.#hasWeights ||= /\.(safetensors|gguf)$/.test(path)
    this.#totalBytes += bytes
    this.#bytesToVerify += bytesToVerify
    const chunks = new Map<number, number>()
    const file: FileMeter = {
      addChunk: (index, bytes, isCached) => {
        const more = bytes - (chunks.get(index) ?? 0)
        if (more <= 0) return
        chunks.set(index, bytes)
        this.#addLoaded(more, isCached)
      },
      addVerified: (bytes) => this.#addVerified(bytes),
    }
    this.#files.set(path, file)
    return file
  }

  #addLoaded(bytes: number, isCached: boolean): void {
    this.#loadedBytes += bytes
    if (isCached) this.#cachedBytes += bytes
    const share = this.#loadedBytes / this.#totalBytes
    if (!this.#hasWeights || share < this.#share) return
    this.#share = share
    this.#report({
      phase: 'download',
      loadedBytes: this.#loadedBytes,
      totalBytes: this.#totalBytes,
      cachedBytes: this.#cachedBytes,
    })
  }

  /** A file that is compared a second time, since a chunk was lost, counts once. */
  #addVerified(bytes: number): void {
    this.#verifiedBytes = Math.min(this.#bytesToVerify, this.#verifiedBytes + bytes)
    this.#report({ phase: 'verify', loadedBytes: this.#verifiedBytes, totalBytes: this.#bytesToVerify })
  }
}
