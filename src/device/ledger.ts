// Counts a device's bytes by owner. Not an allocator.

import type { BufferOwner } from './device.ts'

export class MemoryLedger {
  readonly #bytes: Record<BufferOwner, number> = { weights: 0, states: 0, arena: 0, step: 0, readback: 0 }

  add(owner: BufferOwner, bytes: number): void {
    this.#bytes[owner] += bytes
  }

  snapshot(): Record<BufferOwner, number> {
    return { ...this.#bytes }
  }
}
