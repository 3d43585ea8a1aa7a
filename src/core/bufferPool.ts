// Buffers that are used again and again, so that streaming makes no garbage. Whoever takes one gives it back; several
// readers at once get one each.

export class BufferPool {
  readonly #free: Uint8Array<ArrayBuffer>[] = []
  readonly #sizeFor: (bytes: number) => number

  /** In powers of two, so that reads of growing length do not each leave a buffer behind. */
  constructor(sizeFor: (bytes: number) => number = (bytes) => 2 ** Math.ceil(Math.log2(Math.max(bytes, 1)))) {
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
