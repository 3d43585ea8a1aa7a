// Who holds which blocks of the KV cache, as data. Made when somebody asks; nothing is kept for it between steps but a
// number for each sequence that was seen.

import type { BlockManager } from './blockManager.ts'
import type { Sequence } from './sequence.ts'

/** The KV cache at one moment. */
export interface CacheState {
  /** Tokens of a block. */
  readonly blockSize: number
  /** Block ids are below this. */
  readonly numBlocks: number
  /** Blocks that nobody holds. */
  readonly numFree: number
  /** Running ones first, then those that wait for their turn. */
  readonly sequences: readonly SequenceState[]
}

/** A request in the engine. */
export interface SequenceState {
  /** The same each time, unique among the engine's. */
  readonly id: number
  /** `waiting` until there is room for it, again after a preemption. */
  readonly status: 'waiting' | 'running'
  /** Tokens of its prompt. */
  readonly promptTokens: number
  /** Tokens with keys and values in its blocks, those that submitted steps will write included. */
  readonly cachedTokens: number
  /** Ids in the order of its tokens: all are full but the last. */
  readonly blocks: readonly number[]
}

export class CacheView {
  readonly #ids = new WeakMap<Sequence, number>()
  #nextId = 1

  state({ blockSize, numBlocks, numFree }: BlockManager, sequences: readonly Sequence[]): CacheState {
    return {
      blockSize,
      numBlocks,
      numFree,
      sequences: sequences.map((sequence) => ({
        id: this.#idOf(sequence),
        status: sequence.status === 'running' ? 'running' : 'waiting',
        promptTokens: sequence.params.promptTokens.length,
        cachedTokens: sequence.numComputed,
        blocks: [...sequence.blockTable],
      })),
    }
  }

  #idOf(sequence: Sequence): number {
    const id = this.#ids.get(sequence) ?? this.#nextId++
    this.#ids.set(sequence, id)
    return id
  }
}
