// A pool of mapped-read buffers, so that reading results back creates nothing once it is warm, and batches of results
// that are read with one wait.

import { invariant } from '../../core/errors.ts'
import { readbackSize, type ReadBatch } from '../device.ts'
import type { MemoryLedger } from '../ledger.ts'

/** Where a step copies a result to. */
export interface ReadPlace {
  readonly buffer: GPUBuffer
  readonly offset: number
  /** What has been copied there, at `offset`; the buffer is taken back. */
  readonly read: () => Promise<ArrayBuffer>
}

export class ReadbackPool {
  readonly #gpu: GPUDevice
  readonly #ledger: MemoryLedger
  readonly #free = new Map<number, GPUBuffer[]>()
  readonly #all = new Set<GPUBuffer>()

  constructor(gpu: GPUDevice, ledger: MemoryLedger) {
    this.#gpu = gpu
    this.#ledger = ledger
  }

  /** A free buffer of at least `bytes`, unmapped. */
  take(bytes: number): GPUBuffer {
    const size = readbackSize(bytes)
    const free = this.#free.get(size)?.pop()
    if (free !== undefined) return free
    const buffer = this.#gpu.createBuffer({
      label: `readback ${size}`,
      size,
      usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST,
    })
    this.#ledger.add('readback', size)
    this.#all.add(buffer)
    return buffer
  }

  /** Waits for the copy into `buffer`, returns its first `bytes`, and takes the buffer back. */
  async read(buffer: GPUBuffer, bytes: number): Promise<ArrayBuffer> {
    await buffer.mapAsync(GPUMapMode.READ, 0, bytes)
    const copy = buffer.getMappedRange(0, bytes).slice(0)
    buffer.unmap()
    const free = this.#free.get(buffer.size)
    if (free === undefined) this.#free.set(buffer.size, [buffer])
    else free.push(buffer)
    return copy
  }

  /** A place for one result of `bytes`, read by itself. */
  place(bytes: number): ReadPlace {
    const buffer = this.take(bytes)
    return { buffer, offset: 0, read: () => this.read(buffer, bytes) }
  }

  dispose(): void {
    for (const buffer of this.#all) {
      this.#ledger.add('readback', -buffer.size)
      buffer.destroy()
    }
    this.#all.clear()
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
