// Buffers that are used again and again, so that streaming makes no garbage. Whoever takes one gives it back; several
// readers at once get one each.

export class BufferPool {
  readonly #free: Uint8Array<ArrayBuffer>[] = []
  readonly #sizeFor: (bytes: number) => number

  constructor(sizeFor: (bytes: number) => number = rounded) {
    this.#sizeFor = sizeFor
  }

  /** At least `bytes` bytes, with whatever was in them. */
  take(bytes: number): Uint8Array<ArrayBuffer> {
    const last = this.#free.pop()
    if (last !== undefined && last.byteLength >= bytes) return last
    return new Uint8Array(this.#sizeFor(bytes))
  }

  give(buffer: Uint8Array<ArrayBuffer>): void {
    this.#free.push(buffer)
  }
}

/** By at most a quarter, so that reads of growing length do not each leave a buffer behind. */
function rounded(bytes: number): number {
  const step = Math.max(2 ** (Math.floor(Math.log2(Math.max(bytes, 1))) - 2), 1)
  return Math.ceil(bytes / step) * step
}
