// Hands out KV cache blocks. Invariant: free blocks + allocated blocks = all blocks, and no block is both.

import type { BlockId } from '../../core/brand.ts'
import { invariant } from '../../core/errors.ts'

export class BlockManager {
  readonly numBlocks: number
  readonly blockSize: number
  readonly #free: BlockId[]
  readonly #isAllocated: Uint8Array

  /** `order` lists the blocks as they will be handed out; tests shuffle it. */
  constructor(numBlocks: number, blockSize: number, order?: readonly number[]) {
    this.numBlocks = numBlocks
    this.blockSize = blockSize
    // Taken from the end, so that the list needs no shifting.
    this.#free = Array.from({ length: numBlocks }, (_, i) => (order?.[i] ?? i) as BlockId).reverse()
    this.#isAllocated = new Uint8Array(numBlocks)
  }

  get numFree(): number {
    return this.#free.length
  }

  /** Blocks that `numTokens` tokens fill. */
  blocksFor(numTokens: number): number {
    return Math.ceil(numTokens / this.blockSize)
  }

  canAllocate(count: number): boolean {
    return count <= this.#free.length
  }

  allocate(): BlockId {
    const block = this.#free.pop()
    invariant(block !== undefined, 'allocate follows canAllocate')
    this.#isAllocated[block] = 1
    return block
  }

  free(block: BlockId): void {
    invariant(this.#isAllocated[block] === 1, `block ${block} is freed once`)
    this.#isAllocated[block] = 0
    this.#free.push(block)
  }
}
