// What a request says about sampling and about its end, checked. Not here: prompts (prompts.ts), or how tokens are drawn
// (engine/llm/sampler.ts).

import { isRecord } from '../core/values.ts'
import type { SamplingParams } from '../engine/llm/sequence.ts'
import { maxBiases } from '../graph/ops/logits.ts'
import { inputFault } from './options.ts'
import type { SamplingOptions } from './types.ts'

const defaultTemperature = 0.7

/** Throws engine/input for what is out of range or of another type. */
export function samplingParams(options: SamplingOptions, vocabSize: number): SamplingParams {
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

/** Most tokens to generate, by either name. Throws engine/input, also where the names say different numbers. */
export function maxNewTokens(options: SamplingOptions): number {
  const old = checkMaxTokens('max_tokens', options.max_tokens)
  const current = checkMaxTokens('max_completion_tokens', options.max_completion_tokens)
  if (old !== undefined && current !== undefined && old !== current)
    throw inputFault('max_completion_tokens', `${old}, as max_tokens says, or one of the two`, current)
  return current ?? old ?? Number.MAX_SAFE_INTEGER
}

/** Texts at which to stop, without empty ones, which would stop at once. Throws engine/input. */
export function stopTexts({ stop = [] }: SamplingOptions): readonly string[] {
  const stops: unknown = typeof stop === 'string' ? [stop] : stop
  // Array.from: `every` passes over holes.
  const isList = Array.isArray(stops) && Array.from<unknown>(stops).every((text) => typeof text === 'string')
  if (!isList) throw inputFault('stop', 'a text or a list of texts', stops)
  return (stops as string[]).filter((text) => text !== '')
}

function checkRange<T extends number | undefined>(where: string, value: T, least: number, most: number): T {
  if (value === undefined || (Number.isFinite(value) && value >= least && value <= most)) return value
  const expected = most === Infinity ? `a number of at least ${least}` : `a number from ${least} to ${most}`
  throw inputFault(where, expected, value)
}

function checkMaxTokens(where: string, value: number | undefined): number | undefined {
  if (value === undefined || (Number.isInteger(value) && value >= 1)) return value
  throw inputFault(where, 'an integer of at least 1', value)
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
  if (!isRecord(bias)) throw inputFault('logit_bias', 'an object of numbers by token id', bias)
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
