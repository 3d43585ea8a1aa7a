// A pool of mapped-read buffers, so that reading results back creates nothing once it is warm, and batches of results
// that are read with one wait.

import { invariant } from '../../core/errors.ts'
import { largestKeptRead, readbackSize, type ReadBatch } from '../device.ts'
import type { MemoryLedger } from '../ledger.ts'
import { makeBuffer } from './errorScopes.ts'

/** Where a step copies a result to. */
export interface ReadPlace {
  readonly buffer: GPUBuffer
  readonly offset: number
  /**
   * What has been copied there, at `offset`; the buffer is taken back. Throws device/memory where there was none for the
   * buffer; the step has failed then.
   */
  readonly read: () => Promise<ArrayBuffer>
}

export class ReadbackPool {
  readonly #gpu: GPUDevice
  readonly #ledger: MemoryLedger
  readonly #free = new Map<number, GPUBuffer[]>()
  /** Those that exist, and until it is known whether there is memory for them, when it is. */
  readonly #all = new Map<GPUBuffer, Promise<void> | undefined>()

  constructor(gpu: GPUDevice, ledger: MemoryLedger) {
    this.#gpu = gpu
    this.#ledger = ledger
  }

  /** A free buffer of at least `bytes`, unmapped. */
  take(bytes: number): GPUBuffer {
    const size = readbackSize(bytes)
    const free = this.#free.get(size)?.pop()
    if (free !== undefined) return free
    const label = `readback ${size}`
    const usage = GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST
    const { handle, made } = makeBuffer(this.#gpu, { label, size, usage }, label)
    // Whoever reads the buffer hears of it.
    made.catch(() => undefined)
    this.#ledger.add('readback', handle.size)
    this.#all.set(handle, made)
    return handle
  }

  /** Waits for the copy into `buffer`, returns its first `bytes`, and takes the buffer back. Throws device/memory. */
  async read(buffer: GPUBuffer, bytes: number): Promise<ArrayBuffer> {
    const made = this.#all.get(buffer)
    if (made !== undefined) await this.#settle(buffer, made)
    await buffer.mapAsync(GPUMapMode.READ, 0, bytes)
    const copy = buffer.getMappedRange(0, bytes).slice(0)
    buffer.unmap()
    this.#giveBack(buffer)
    return copy
  }

  /** A buffer that was not made must not be mapped: that would be an error of its own. */
  async #settle(buffer: GPUBuffer, made: Promise<void>): Promise<void> {
    try {
      await made
      if (this.#all.has(buffer)) this.#all.set(buffer, undefined)
    } catch (error) {
      this.#destroy(buffer)
      throw error
    }
  }

  #giveBack(buffer: GPUBuffer): void {
    if (buffer.size > largestKeptRead) {
      this.#destroy(buffer)
      return
    }
    const free = this.#free.get(buffer.size)
    if (free === undefined) this.#free.set(buffer.size, [buffer])
    else free.push(buffer)
  }

  #destroy(buffer: GPUBuffer): void {
    if (!this.#all.delete(buffer)) return
    this.#ledger.add('readback', -buffer.size)
    buffer.destroy()
  }

  /** A place for one result of `bytes`, read by itself. */
  place(bytes: number): ReadPlace {
    const buffer = this.take(bytes)
    return { buffer, offset: 0, read: () => this.read(buffer, bytes) }
  }

  dispose(): void {
    for (const buffer of this.#all.keys()) this.#destroy(buffer)
    this.#free.clear()
  }
}

/** Results of equal size in one buffer of the pool. */
export class ReadbackBatch implements ReadBatch {
  readonly #pool: ReadbackPool
  readonly #numSteps: number
  readonly #contents: Promise<ArrayBuffer>
  #settle: (contents: Promise<ArrayBuffer>) => void = () => undefined
  #buffer: GPUBuffer | undefined
  #filled = 0
  #isFinished = false

  constructor(pool: ReadbackPool, numSteps: number) {
    this.#pool = pool
    this.#numSteps = numSteps
    this.#contents = new Promise((resolve) => (this.#settle = resolve))
    // Those who asked for a result hear of a failure; there may be none.
    this.#contents.catch(() => undefined)
  }

  place(bytes: number): ReadPlace {
    invariant(!this.#isFinished, 'a batch of reads is open')
    const buffer = (this.#buffer ??= this.#pool.take(bytes * this.#numSteps))
    const offset = this.#filled
    this.#filled += bytes
    invariant(this.#filled <= buffer.size, 'a batch of reads has room')
    return { buffer, offset, read: () => this.#contents }
  }

  finish(): void {
    if (this.#isFinished) return
    this.#isFinished = true
    if (this.#buffer !== undefined) this.#settle(this.#pool.read(this.#buffer, this.#filled))
  }
}
