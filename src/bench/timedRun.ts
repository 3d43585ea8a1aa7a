// One timed run of a language-model benchmark: greedy requests that are made at the same time, and when their tokens came.
// Not here: what becomes of the times (llm.ts).

import type { Engine } from '../api/types.ts'
import { median } from './statistics.ts'
import type { BenchModel } from './synthetic.ts'

export interface RunOptions {
  readonly promptTokens: number
  /** Tokens after the first one. */
  readonly newTokens: number
  readonly batch: number
  readonly signal?: AbortSignal | undefined
}

export interface TimedRun {
  /** Median over the sequences. */
  readonly ttftMs: number
  /** To the last first token. */
  readonly prefillMs: number
  /** From there to the last token. */
  readonly decodeMs: number
  /** Tokens of all sequences that came in that time. */
  readonly decoded: number
  /** Of the first sequence. */
  readonly tokens: readonly number[]
}

export async function generateOnce(
  engine: Engine,
  { spec }: BenchModel,
  { promptTokens, newTokens, batch, signal }: RunOptions,
): Promise<TimedRun> {
  const begin = performance.now()
  const sequences = Array.from({ length: batch }, async (_, index) => {
    const stream = engine.completions.create({
      prompt: promptOf(promptTokens, spec.config.vocabSize, index),
      temperature: 0,
      max_tokens: newTokens + 1,
      stream: true,
      ...(signal === undefined ? {} : { signal }),
    })
    const times: number[] = []
    const tokens: number[] = []
    for await (const { choices } of stream) {
      const now = performance.now()
      for (const token of choices[0]?.tokens ?? []) {
        times.push(now)
        tokens.push(token)
      }
    }
    return { first: times[0]!, times, tokens }
  })
  const ends = await Promise.all(sequences)
  const lastFirst = Math.max(...ends.map(({ first }) => first))
  const later = ends.flatMap(({ times }) => times.filter((time) => time > lastFirst))
  return {
    ttftMs: median(ends.map(({ first }) => first - begin)),
    prefillMs: lastFirst - begin,
    decodeMs: Math.max(...later) - lastFirst,
    decoded: later.length,
    tokens: ends[0]?.tokens ?? [],
  }
}

/** Special tokens and bytes, with which Llama's vocabulary begins. */
const numSpecial = 260

/** Ids spread over the vocabulary, different for each sequence; benchmarks of other runtimes use the same. */
function promptOf(length: number, vocabSize: number, sequence: number): number[] {
  const first = Math.min(numSpecial, vocabSize >> 1)
  return Array.from(
    { length },
    (_, i) => first + (((i + sequence * 31) * 7919 + 104_729) % (vocabSize - first)),
  )
}
