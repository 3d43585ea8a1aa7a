// A pool of mapped-read buffers, so that reading results back creates nothing once it is warm.

import { readbackSize } from '../device.ts'
import type { MemoryLedger } from '../ledger.ts'

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

  dispose(): void {
    for (const buffer of this.#all) {
      this.#ledger.add('readback', -buffer.size)
      buffer.destroy()
    }
    this.#all.clear()
    this.#free.clear()
  }
}
