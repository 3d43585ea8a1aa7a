// Sampling parameters of sequences → the step inputs that the sampling ops read. What they do there: graph/ops/logits.ts
// and graph/ops/sample.ts.

import { invariant } from '../../core/errors.ts'
import { controlColumns, hasPenalties, maxBiases, type Controls } from '../../graph/ops/logits.ts'
import type { SamplingParams, Sequence } from './sequence.ts'

/** Inputs of the sampling ops, by name: an entry for each logits row, and `countTargets` for each sequence. */
export interface SamplingInputs {
  readonly temperature: number[]
  readonly seed: number[]
  readonly tokenIndex: number[]
  readonly sampleTargets: number[]
  readonly controls: number[]
  readonly countTargets: number[]
  readonly biasIds: Int32Array
  readonly biasValues: Float32Array
}

/** Colder than this is greedy: logits over it would overflow, and equal infinities hide which was the largest. */
const minTemperature = 1e-6

/** Nothing is filled in for rows without bias, and most have none. */
const noBiasIds = new Int32Array(maxBiases)
const noBiasValues = new Float32Array(maxBiases)

/** Collects the sampling inputs of one step. */
export class SamplingInputsBuilder {
  readonly #rows: { readonly params: SamplingParams; readonly target: number; readonly index: number }[] = []
  readonly #countTargets: number[] = []

  /** A sequence of the step, in batch order. */
  addSequence({ params, row }: Sequence): void {
    invariant(row !== undefined, 'a scheduled sequence has a row')
    const isCounted = hasPenalties(controlsOf(params.sampling))
    this.#countTargets.push(...(isCounted ? [1, row, params.promptTokens.length] : [0, 0, 0]))
  }

  /** A sequence of the step samples the token at position `tokenIndex`. */
  addRow({ params, row }: Sequence, tokenIndex: number): void {
    invariant(row !== undefined, 'a scheduled sequence has a row')
    this.#rows.push({ params: params.sampling, target: row, index: tokenIndex })
  }

  finish(): SamplingInputs {
    const rows = this.#rows
    return {
      temperature: rows.map(({ params }) => (params.temperature < minTemperature ? 0 : params.temperature)),
      seed: rows.flatMap(({ params }) => params.seed),
      tokenIndex: rows.map(({ index }) => index),
      sampleTargets: rows.map(({ target }) => target),
      controls: rows.flatMap(({ params }) => {
        const controls = controlsOf(params)
        return controlColumns.map((column) => controls[column])
      }),
      countTargets: this.#countTargets,
      ...biasesOf(rows.map(({ params }) => params.logitBias)),
    }
  }
}

function controlsOf(params: SamplingParams): Controls {
  const numBiases = params.logitBias?.size ?? 0
  invariant(numBiases <= maxBiases, `at most ${maxBiases} biases`)
  return {
    topK: params.topK ?? 0,
    topP: params.topP ?? 1,
    minP: params.minP ?? 0,
    repetitionPenalty: params.repetitionPenalty ?? 1,
    presencePenalty: params.presencePenalty ?? 0,
    frequencyPenalty: params.frequencyPenalty ?? 0,
    numBiases,
  }
}

function biasesOf(
  rows: readonly (ReadonlyMap<number, number> | undefined)[],
): Pick<SamplingInputs, 'biasIds' | 'biasValues'> {
  if (rows.length === 1 && rows[0] === undefined) return { biasIds: noBiasIds, biasValues: noBiasValues }
  const biasIds = new Int32Array(rows.length * maxBiases)
  const biasValues = new Float32Array(rows.length * maxBiases)
  rows.forEach((bias = new Map<number, number>(), row) => {
    const ids = [...bias.keys()].sort((a, b) => a - b)
    biasIds.set(ids, row * maxBiases)
    biasValues.set(
      ids.map((id) => bias.get(id)!),
      row * maxBiases,
    )
  })
  return { biasIds, biasValues }
}
