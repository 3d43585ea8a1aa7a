// A chunk storage in memory that can be full, broken or tampered with.

import type { ChunkStorage } from '../../../../src/weights/remote/chunkStorage.ts'

export class MemoryChunks implements ChunkStorage {
  readonly entries: Map<string, Uint8Array> = new Map<string, Uint8Array>()
  /** Bytes after which writes fail. */
  capacity: number = Infinity
  /** Awaited before a chunk is written. */
  onWrite: () => Promise<void> = async () => {}

  async read(key: string): Promise<Uint8Array | undefined> {
    return this.entries.get(key)?.slice()
  }

  async write(key: string, parts: readonly Uint8Array[]): Promise<void> {
    if (isChunk(key)) await this.onWrite()
    const bytes = Uint8Array.from(Buffer.concat(parts))
    const used = [...this.entries.values()].reduce((sum, { length }) => sum + length, 0)
    if (used + bytes.length > this.capacity) throw new Error('ENOSPC: no space left on device')
    this.entries.set(key, bytes)
  }

  async delete(key: string): Promise<void> {
    this.entries.delete(key)
  }

  async list(folder: string): Promise<string[]> {
    const prefix = `${folder}/`
    return [...this.entries.keys()]
      .filter((key) => key.startsWith(prefix))
      .map((key) => key.slice(prefix.length))
  }

  /** Keys of chunks, in order of writing. */
  get chunkKeys(): string[] {
    return [...this.entries.keys()].filter(isChunk)
  }
}

function isChunk(key: string): boolean {
  return /\/\d+$/.test(key)
}
