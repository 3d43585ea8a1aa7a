// A queue with one reader, for streams of tokens and chunks. Not bounded: producers here are slower than readers.

export class AsyncQueue<T> implements AsyncIterable<T> {
  readonly #items: T[] = []
  #isClosed = false
  #error: unknown
  #wake: (() => void) | undefined

  push(item: T): void {
    this.#items.push(item)
    this.#wake?.()
  }

  /** Ends the stream after the items that are in it. */
  close(): void {
    this.#isClosed = true
    this.#wake?.()
  }

  /** Ends the stream with an error after the items that are in it. */
  fail(error: unknown): void {
    this.#error ??= error
    this.close()
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T, void, undefined> {
    for (;;) {
      while (this.#items.length > 0) yield this.#items.shift()!
      if (this.#isClosed) {
        if (this.#error !== undefined) throw this.#error
        return
      }
      await new Promise<void>((resolve) => (this.#wake = resolve))
      this.#wake = undefined
    }
  }
}
