// One token stream inside the engine. State only: the scheduler moves it along, the engine commits its tokens.

import type { BlockId } from '../../core/brand.ts'

export interface SamplingParams {
  /** 0 is greedy. */
  readonly temperature: number
  /** Two u32. */
  readonly seed: readonly [number, number]
}

export interface SequenceParams {
  readonly promptTokens: readonly number[]
  readonly maxNewTokens: number
  readonly stopTokenIds: ReadonlySet<number>
  readonly sampling: SamplingParams
}

export type SequenceStatus = 'waiting' | 'running' | 'finished'

export class Sequence {
  readonly params: SequenceParams
  /** Prompt and every sampled token that has been read back. */
  readonly tokens: number[]
  status: SequenceStatus = 'waiting'
  /** Tokens whose keys and values are in the cache, or will be once the submitted steps have run. */
  numComputed = 0
  /** Tokens sampled on the device and not read back yet. */
  numPending = 0
  /** Blocks of the cache, by logical index. */
  blockTable: BlockId[] = []
  /** Row of the `sampled` state that is this sequence's while it runs. */
  row: number | undefined

  constructor(params: SequenceParams) {
    this.params = params
    this.tokens = [...params.promptTokens]
  }

  get numTokens(): number {
    return this.tokens.length + this.numPending
  }

  get numGenerated(): number {
    return this.numTokens - this.params.promptTokens.length
  }

  /** Whether another token may be sampled. */
  get wantsMore(): boolean {
    return this.status !== 'finished' && this.numGenerated < this.params.maxNewTokens
  }
}
