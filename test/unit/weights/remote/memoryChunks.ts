// A chunk storage in memory that can be full, broken or tampered with.

import type { ChunkStorage } from '../../../../src/weights/remote/chunkStorage.ts'

export class MemoryChunks implements ChunkStorage {
  readonly entries: Map<string, Uint8Array> = new Map<string, Uint8Array>()
  /** Bytes after which writes fail. */
  capacity: number = Infinity
  /** What it says that it can still hold. */
  free: number | undefined
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

  async folders(): Promise<string[]> {
    return [...new Set([...this.entries.keys()].map((key) => key.split('/')[0]!))]
  }

  async deleteFolder(folder: string): Promise<void> {
    for (const name of await this.list(folder)) this.entries.delete(`${folder}/${name}`)
  }

  async freeBytes(): Promise<number | undefined> {
    return this.free
  }

  /** Keys of chunks, in order of writing. */
  get chunkKeys(): string[] {
    return [...this.entries.keys()].filter(isChunk)
  }
}

function isChunk(key: string): boolean {
  return /\/\d+$/.test(key)
}
