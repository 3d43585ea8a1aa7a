// Decides what the next step computes: in-flight batching with chunked prefill and preemption by recomputation.
// Prefill and decode are one thing here: a sequence gets min(what is left to compute, what is left of the budget).

import { invariant } from '../../core/errors.ts'
import type { BlockManager } from './blockManager.ts'
import type { Sequence } from './sequence.ts'

export interface SchedulerOptions {
  readonly maxNumSeqs: number
  readonly maxNumBatchedTokens: number
}

/** The part of a sequence that a step computes. */
export interface ScheduledChunk {
  readonly sequence: Sequence
  /** Position of the first token. */
  readonly start: number
  readonly numTokens: number
  /** Whether the chunk ends at the last token, so that its logits give the next one. */
  readonly samples: boolean
}

export class Scheduler {
  readonly #blocks: BlockManager
  readonly #options: SchedulerOptions
  readonly #waiting: Sequence[] = []
  readonly #running: Sequence[] = []
  readonly #freeRows: number[]

  constructor(blocks: BlockManager, options: SchedulerOptions) {
    this.#blocks = blocks
    this.#options = options
    this.#freeRows = Array.from({ length: options.maxNumSeqs }, (_, row) => row).reverse()
  }

  get hasUnfinished(): boolean {
    return this.#waiting.length + this.#running.length > 0
  }

  /** Those that hold blocks, then those that wait, each in the order of their turn. */
  get sequences(): readonly Sequence[] {
    return [...this.#running, ...this.#waiting]
  }

  add(sequence: Sequence): void {
    this.#waiting.push(sequence)
  }

  /** Ends a sequence and takes its blocks and row back at once: steps run in order, so reuse is safe. */
  finish(sequence: Sequence): void {
    for (const list of [this.#waiting, this.#running]) {
      const index = list.indexOf(sequence)
      if (index !== -1) list.splice(index, 1)
    }
    this.#release(sequence)
    sequence.status = 'finished'
  }

  /**
   * Starts over, as if every running sequence had been preempted and no token were on its way: the cache is lost.
   * Returns how many sequences were running.
   */
  restart(): number {
    const numRunning = this.#running.length
    for (const sequence of this.#running.toReversed()) this.#preempt(sequence)
    for (const sequence of this.#waiting) sequence.numPending = 0
    return numRunning
  }

  /** Chunks of the next step in batch order; none when nothing can run until results have been read back. */
  schedule(): ScheduledChunk[] {
    const chunks: ScheduledChunk[] = []
    let budget = this.#options.maxNumBatchedTokens
    let hasPreempted = false
    for (let i = 0; i < this.#running.length && budget > 0; i++) {
      const sequence = this.#running[i]!
      const numTokens = Math.min(runnable(sequence), budget)
      if (numTokens === 0) continue
      // Later sequences make room for earlier ones; the last may have to make room for itself.
      while (sequence.status === 'running' && !this.#reserve(sequence, numTokens)) {
        this.#preempt(this.#running.at(-1)!)
        hasPreempted = true
      }
      if (sequence.status !== 'running') break
      chunks.push(take(sequence, numTokens))
      budget -= numTokens
    }
    // Admitting anyone while blocks are short would only preempt again.
    if (hasPreempted) return chunks
    while (budget > 0 && this.#freeRows.length > 0) {
      const sequence = this.#waiting[0]
      // A preempted sequence waits until its pending token has been read back.
      if (sequence === undefined || sequence.numPending > 0) break
      const numTokens = Math.min(runnable(sequence), budget)
      if (!this.#reserve(sequence, numTokens)) break
      this.#waiting.shift()
      this.#running.push(sequence)
      sequence.status = 'running'
      sequence.row = this.#freeRows.pop()!
      chunks.push(take(sequence, numTokens))
      budget -= numTokens
    }
    return chunks
  }

  /** Gives a sequence the blocks for `numTokens` more tokens; false, and no change, if they are not there. */
  #reserve(sequence: Sequence, numTokens: number): boolean {
    const needed = this.#blocks.blocksFor(sequence.numComputed + numTokens) - sequence.blockTable.length
    if (!this.#blocks.canAllocate(needed)) return false
    for (let i = 0; i < needed; i++) sequence.blockTable.push(this.#blocks.allocate())
    return true
  }

  /** Takes blocks and row back; the sequence starts over at the head of the queue. */
  #preempt(sequence: Sequence): void {
    invariant(this.#running.pop() === sequence, 'the last running sequence is preempted')
    this.#release(sequence)
    sequence.status = 'waiting'
    sequence.numComputed = 0
    this.#waiting.unshift(sequence)
  }

  #release(sequence: Sequence): void {
    for (const block of sequence.blockTable.toReversed()) this.#blocks.free(block)
    sequence.blockTable = []
    if (sequence.row !== undefined) this.#freeRows.push(sequence.row)
    sequence.row = undefined
  }
}

/** Tokens that can be computed now: none once enough have been sampled. */
function runnable(sequence: Sequence): number {
  return sequence.wantsMore ? sequence.numTokens - sequence.numComputed : 0
}

function take(sequence: Sequence, numTokens: number): ScheduledChunk {
  const start = sequence.numComputed
  sequence.numComputed += numTokens
  return { sequence, start, numTokens, samples: sequence.numComputed === sequence.numTokens }
}
