// One token stream inside the engine. State only: the scheduler moves it along, the engine commits its tokens.

import type { BlockId } from '../../core/brand.ts'

export interface SamplingParams {
  /** 0 is greedy. */
  readonly temperature: number
  /** Two u32. */
  readonly seed: readonly [number, number]
  /** Tokens kept; 0 keeps all, the default. */
  readonly topK?: number | undefined
  /** Probability kept; 1 keeps all, the default. */
  readonly topP?: number | undefined
  /** Least probability kept, as a share of the largest; 0 keeps all, the default. */
  readonly minP?: number | undefined
  /** Divides the positive logits of seen tokens and multiplies the others. Default 1. */
  readonly repetitionPenalty?: number | undefined
  /** Taken from the logits of generated tokens. Default 0. */
  readonly presencePenalty?: number | undefined
  /** Taken from the logits of generated tokens, once for each time. Default 0. */
  readonly frequencyPenalty?: number | undefined
  /** Added to logits, by token id; at most `maxBiases` entries. */
  readonly logitBias?: ReadonlyMap<number, number> | undefined
}

export interface SequenceParams {
  readonly promptTokens: readonly number[]
  readonly maxNewTokens: number
  readonly stopTokenIds: ReadonlySet<number>
  readonly sampling: SamplingParams
}

/** Of a sequence whose tokens nobody reads: greedy, and none of them ends it. */
export function plainParams(promptTokens: readonly number[], maxNewTokens: number): SequenceParams {
  return { promptTokens, maxNewTokens, stopTokenIds: new Set(), sampling: { temperature: 0, seed: [0, 0] } }
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
