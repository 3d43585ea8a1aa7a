// One request as a stream of text pieces: tokens from the engine, decoded, cut at stop strings, timed.
// Not here: the shapes in which callers get them (engine.ts).

import { RuntimeFault } from '../core/errors.ts'
import type { LlmEngine } from '../engine/llm/llmEngine.ts'
import type { Tokenizer } from '../text/tokenizer.ts'
import { createStopFilter, type StopFilter } from './stopStrings.ts'
import { CancelledFault } from './cancelledFault.ts'
import { withoutNulls } from './options.ts'
import { maxNewTokens, samplingParams, stopTexts } from './sampling.ts'
import type { FinishReason, SamplingOptions, Timings, Usage } from './types.ts'

export interface Piece {
  readonly text: string
  readonly tokens: readonly number[]
  /** Set on the last piece. */
  readonly finish:
    | { readonly reason: FinishReason; readonly usage: Usage; readonly timings: Timings }
    | undefined
}

/**
 * Pieces of the answer to `promptTokens`; the last one says why it ended. Without a tokenizer text is empty. An abort is
 * a CancelledFault.
 */
export async function* generatePieces(
  engine: LlmEngine,
  tokenizer: Tokenizer | undefined,
  promptTokens: readonly number[],
  request: SamplingOptions,
): AsyncGenerator<Piece, void, undefined> {
  const submittedAt = performance.now()
  const options = withoutNulls(request)
  const decoder = tokenizer?.stream()
  const filter = createStopFilter(stopTexts(options))
  const events = engine.generate(
    {
      promptTokens,
      maxNewTokens: maxNewTokens(options),
      stopTokenIds: new Set(tokenizer?.eosTokenIds ?? []),
      sampling: samplingParams(options, engine.config.vocabSize),
    },
    options.signal,
  )
  let firstAt = submittedAt
  let lastAt = submittedAt
  let numTokens = 0
  const usageSoFar = (): Usage => ({
    prompt_tokens: promptTokens.length,
    completion_tokens: numTokens,
    total_tokens: promptTokens.length + numTokens,
  })
  const timingsSoFar = (): Timings => timingsOf(promptTokens.length, numTokens, submittedAt, firstAt, lastAt)
  let reason: FinishReason = 'length'
  let isCut = false
  try {
    for await (const { token, finishReason } of events) {
      numTokens++
      lastAt = performance.now()
      if (numTokens === 1) firstAt = lastAt
      // A vocabulary may be padded or have holes: ids that no tokenizer knows have no text.
      const isText = finishReason !== 'stop' && tokenizer?.has(token) === true
      const { text, isStopped } = filter.push(isText ? (decoder?.push(token) ?? '') : '')
      yield { text, tokens: [token], finish: undefined }
      if (isStopped) {
        reason = 'stop'
        isCut = true
        break
      }
      reason = finishReason ?? reason
    }
  } catch (error) {
    if (!(error instanceof RuntimeFault) || error.code !== 'engine/cancelled') throw error
    throw new CancelledFault(usageSoFar(), numTokens === 0 ? undefined : timingsSoFar(), error.cause)
  }
  const tail = isCut ? '' : rest(filter, decoder?.flush() ?? '')
  yield {
    text: tail,
    tokens: [],
    finish: { reason, usage: usageSoFar(), timings: timingsSoFar() },
  }
}

/** What the decoder and the filter still hold when no stop string has been met. */
function rest(filter: StopFilter, text: string): string {
  const last = filter.push(text)
  return last.isStopped ? last.text : last.text + filter.flush()
}

function timingsOf(
  numPrompt: number,
  numTokens: number,
  submittedAt: number,
  firstAt: number,
  lastAt: number,
): Timings {
  const ttftMs = firstAt - submittedAt
  const tpotMs = numTokens > 1 ? (lastAt - firstAt) / (numTokens - 1) : undefined
  return {
    ttftMs,
    tpotMs,
    prefillTokensPerSecond: (numPrompt * 1000) / ttftMs,
    decodeTokensPerSecond: tpotMs === undefined ? undefined : 1000 / tpotMs,
  }
}
