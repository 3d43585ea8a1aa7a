// One request as a stream of text pieces: tokens from the engine, decoded, cut at stop strings, timed.
// Not here: the shapes in which callers get them (engine.ts).

import { RuntimeFault } from '../core/errors.ts'
import type { LlmEngine } from '../engine/llm/llmEngine.ts'
import type { SamplingParams } from '../engine/llm/sequence.ts'
import { maxBiases } from '../graph/ops/logits.ts'
import type { Tokenizer } from '../text/tokenizer.ts'
import { createStopFilter, type StopFilter } from './stopStrings.ts'
import { CancelledFault } from './cancelledFault.ts'
import type { FinishReason, SamplingOptions, Timings, Usage } from './types.ts'

export interface Piece {
  readonly text: string
  readonly tokens: readonly number[]
  /** Set on the last piece. */
  readonly finish:
    | { readonly reason: FinishReason; readonly usage: Usage; readonly timings: Timings }
    | undefined
}

const defaultTemperature = 0.7

/**
 * Pieces of the answer to `promptTokens`; the last one says why it ended. Without a tokenizer text is empty. An abort is
 * a CancelledFault.
 */
export async function* generatePieces(
  engine: LlmEngine,
  tokenizer: Tokenizer | undefined,
  promptTokens: readonly number[],
  options: SamplingOptions,
): AsyncGenerator<Piece, void, undefined> {
  const submittedAt = performance.now()
  const decoder = tokenizer?.stream()
  const stops = typeof options.stop === 'string' ? [options.stop] : (options.stop ?? [])
  const filter = createStopFilter(stops.filter((stop) => stop.length > 0))
  const events = engine.generate(
    {
      promptTokens,
      maxNewTokens: checkMaxTokens(options.max_tokens),
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
      // A padded vocabulary has ids that no tokenizer knows; they have no text.
      const isText = tokenizer !== undefined && finishReason !== 'stop' && token < tokenizer.vocabSize
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

function inputFault(where: string, expected: string, got: unknown): RuntimeFault {
  return new RuntimeFault('engine/input', { where, expected, got: String(got), fix: 'Correct the request.' })
}

function checkMaxTokens(value: number | undefined): number {
  if (value === undefined) return Number.MAX_SAFE_INTEGER
  if (Number.isInteger(value) && value >= 1) return value
  throw inputFault('max_tokens', 'an integer of at least 1', value)
}

/** What a request says about sampling. Throws engine/input for what is out of range. */
function samplingParams(options: SamplingOptions, vocabSize: number): SamplingParams {
  return {
    temperature: checkRange('temperature', options.temperature ?? defaultTemperature, 0, Infinity),
    seed: seedWords(options.seed),
    topK: checkTopK(options.top_k),
    topP: checkRange('top_p', options.top_p, 0, 1),
    minP: checkRange('min_p', options.min_p, 0, 1),
    repetitionPenalty: checkRepetitionPenalty(options.repetition_penalty),
    presencePenalty: checkRange('presence_penalty', options.presence_penalty, -2, 2),
    frequencyPenalty: checkRange('frequency_penalty', options.frequency_penalty, -2, 2),
    logitBias: checkLogitBias(options.logit_bias, vocabSize),
  }
}

function checkRange<T extends number | undefined>(where: string, value: T, least: number, most: number): T {
  if (value === undefined || (Number.isFinite(value) && value >= least && value <= most)) return value
  const expected = most === Infinity ? `a number of at least ${least}` : `a number from ${least} to ${most}`
  throw inputFault(where, expected, value)
}

function checkTopK(value: number | undefined): number | undefined {
  if (value === undefined || (Number.isSafeInteger(value) && value >= 0)) return value
  throw inputFault('top_k', 'an integer of at least 0', value)
}

function checkRepetitionPenalty(value: number | undefined): number | undefined {
  if (value === undefined || (Number.isFinite(value) && value > 0)) return value
  throw inputFault('repetition_penalty', 'a number above 0', value)
}

function checkLogitBias(
  bias: SamplingOptions['logit_bias'],
  vocabSize: number,
): ReadonlyMap<number, number> | undefined {
  if (bias === undefined) return undefined
  const entries = Object.entries(bias)
  if (entries.length === 0) return undefined
  if (entries.length > maxBiases)
    throw inputFault('logit_bias', `at most ${maxBiases} tokens`, entries.length)
  return new Map(
    entries.map(([key, value]): [number, number] => {
      const id = Number(key)
      // Written as an integer is: '7' and not '07', which would name one token twice.
      if (String(id) !== key || !Number.isInteger(id) || id < 0 || id >= vocabSize)
        throw inputFault('logit_bias', `token ids from 0 to ${vocabSize - 1}`, key)
      checkRange(`logit_bias of token ${key}`, value, -100, 100)
      return [id, value]
    }),
  )
}

/** Both halves of a seed; a random one if none was given. */
function seedWords(seed: number | undefined): [number, number] {
  if (seed === undefined) {
    const words = crypto.getRandomValues(new Uint32Array(2))
    return [words[0]!, words[1]!]
  }
  if (!Number.isSafeInteger(seed) || seed < 0) throw inputFault('seed', 'a safe integer of at least 0', seed)
  return [seed >>> 0, Math.floor(seed / 2 ** 32)]
}
