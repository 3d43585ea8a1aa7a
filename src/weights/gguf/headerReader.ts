// Reads a GGUF header front to back through a window, so that neither the file nor a long header is held at once.
// Not here: what the fields mean (header.ts).
import { RuntimeFault } from '../../core/errors.ts'
import { readExactly, type ByteSource } from '../../core/files.ts'

/** Bytes fetched at a time; a longer string is fetched whole. */
const windowBytes = 2 ** 20
/** The largest public headers (256 k tokens with their merges) have about 16 MB. */
const maxHeaderBytes = 2 ** 27

/**
 * A cursor. `take…` methods need their bytes in the window: `fill` them first. Bytes are counted against the file and
 * the largest header before they are asked for.
 */
export class HeaderReader {
  readonly name: string
  readonly #source: ByteSource
  readonly #signal: AbortSignal | undefined
  /** First byte that is no longer header. */
  readonly #end: number
  #window = new DataView(new ArrayBuffer(0))
  /** Offset in the file of the window, and of the cursor in the window. */
  #windowStart = 0
  #at = 0
  // A mark at the beginning of a token is part of it.
  readonly #utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

  constructor(source: ByteSource, signal: AbortSignal | undefined) {
    this.name = source.name
    this.#source = source
    this.#signal = signal
    this.#end = Math.min(source.size, maxHeaderBytes)
  }

  /** Offset in the file of the next byte. */
  get position(): number {
    return this.#windowStart + this.#at
  }

  /** Bytes that a header could still have. */
  get remaining(): number {
    return this.#end - this.position
  }

  has(bytes: number): boolean {
    return this.#at + bytes <= this.#window.byteLength
  }

  /** Makes the next `bytes` bytes available. Throws `weights/header` when the file or the header limit ends before. */
  async fill(bytes: number): Promise<void> {
    if (this.has(bytes)) return
    if (bytes > this.remaining) {
      throw headerFault(
        this.name,
        `${bytes} more bytes of header at ${this.position}`,
        this.#end < this.#source.size ? `a header beyond ${maxHeaderBytes} bytes` : 'the end of the file',
      )
    }
    const kept = this.#window.byteLength - this.#at
    const start = this.position + kept
    const fresh = Math.min(Math.max(bytes - kept, windowBytes), this.#end - start)
    const read = await readExactly(this.#source, start, fresh, this.#signal)
    const joined = new Uint8Array(kept + fresh)
    joined.set(new Uint8Array(this.#window.buffer, this.#window.byteOffset + this.#at, kept))
    joined.set(read, kept)
    this.#windowStart = this.position
    this.#at = 0
    this.#window = new DataView(joined.buffer)
  }

  takeU8(): number {
    return this.#window.getUint8(this.#step(1))
  }

  takeI8(): number {
    return this.#window.getInt8(this.#step(1))
  }

  takeU16(): number {
    return this.#window.getUint16(this.#step(2), true)
  }

  takeI16(): number {
    return this.#window.getInt16(this.#step(2), true)
  }

  takeU32(): number {
    return this.#window.getUint32(this.#step(4), true)
  }

  takeI32(): number {
    return this.#window.getInt32(this.#step(4), true)
  }

  takeF32(): number {
    return this.#window.getFloat32(this.#step(4), true)
  }

  takeF64(): number {
    return this.#window.getFloat64(this.#step(8), true)
  }

  takeU64(): number | bigint {
    return narrowed(this.#window.getBigUint64(this.#step(8), true))
  }

  takeI64(): number | bigint {
    return narrowed(this.#window.getBigInt64(this.#step(8), true))
  }

  /** A u64 that counts things of at least `bytesEach` bytes in the rest of the header. */
  async readCount(what: string, bytesEach: number): Promise<number> {
    // Asked first, here and below: a vocabulary has hundreds of thousands of strings, and every await costs.
    if (!this.has(8)) await this.fill(8)
    const count = this.takeU64()
    const limit = Math.floor(this.remaining / bytesEach)
    if (typeof count === 'number' && count <= limit) return count
    throw headerFault(this.name, `at most ${limit} ${what} in the rest of the header`, String(count))
  }

  /** A length and that many bytes of UTF-8. */
  async readString(what: string, maxBytes: number = maxHeaderBytes): Promise<string> {
    const length = await this.readCount(`bytes of ${what}`, 1)
    if (length > maxBytes) {
      throw headerFault(this.name, `${what} of at most ${maxBytes} bytes`, `${length} bytes`)
    }
    if (!this.has(length)) await this.fill(length)
    const at = this.#step(length)
    try {
      return this.#utf8.decode(new Uint8Array(this.#window.buffer, this.#window.byteOffset + at, length))
    } catch (cause) {
      throw headerFault(this.name, `${what} in UTF-8`, `other bytes at ${this.position - length}`, cause)
    }
  }

  #step(bytes: number): number {
    const at = this.#at
    this.#at += bytes
    return at
  }
}

function narrowed(value: bigint): number | bigint {
  const number = Number(value)
  return Number.isSafeInteger(number) ? number : value
}

/** A `weights/header` fault. */
export function headerFault(where: string, expected: string, got: string, cause?: unknown): RuntimeFault {
  return new RuntimeFault('weights/header', {
    where,
    expected,
    got,
    fix: 'Fetch the file again; it is damaged or not GGUF.',
    cause,
  })
}
