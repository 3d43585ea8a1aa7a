// sample: one token id for each row of logits, drawn where the logits are. Bias and penalties come before: logits.ts.

import { philox, uniform } from '../../core/philox.ts'
import { expectDType, expectRank, expectShape, type OpDef, type NoAttrs } from '../opDef.ts'
import { controlColumns, isProcessed, neutralControls, readControls, type Controls } from './logits.ts'

/**
 * logits [R, V] (those of processLogits in `processed` [R, V], for rows that it changes), temperature [R], seed [R, 2],
 * tokenIndex [R] → row targets[r] of `sampled` [maxRows].
 * Bias and penalties being done (processLogits), the order is, as in transformers, with 2 to 4 only where there are
 * controls [R, 7]:
 *
 * 1. temperature τ: l / τ. At τ = 0 the largest logit is taken, the lowest id on ties, and nothing below matters;
 * 2. top-k: keep the k largest, and all that equal the k-th;
 * 3. top-p: of those, with p their softmax, keep a token if all tokens above it together have less than top_p: the
 *    smallest set that reaches top_p, the token that crosses included. Tokens of equal logits stay or go together;
 * 4. min-p: keep p ≥ min_p · p_max;
 * 5. the draw, by the Gumbel-max trick: the largest of l / τ − log(E), E exponential from Philox keyed by the seed and
 *    counted by (id, tokenIndex), which is a draw from the softmax of what was kept.
 *
 * 2 to 4 each keep what is not below some logit (`keptFloor`), so they leave the draw of a kept token as it was. The
 * largest logit is always kept. NaN logits are never chosen over a number.
 */
export const sample: OpDef<NoAttrs> = {
  inputs: ['logits', 'temperature', 'seed', 'tokenIndex', 'targets', 'sampled', 'controls?', 'processed?'],
  outputs: ['next'],
  nextVersionOf: { next: 'sampled' },
  accuracy: 'exact',
  infer(_attrs, { logits, temperature, seed, tokenIndex, targets, sampled, controls, processed }, where) {
    expectRank(where, 'logits', logits!.shape, 2)
    expectDType(where, 'logits', logits!.dtype, ['f32'])
    const rows = logits!.shape[0]!
    expectShape(where, 'temperature', temperature!.shape, [rows])
    expectShape(where, 'seed', seed!.shape, [rows, 2])
    expectShape(where, 'tokenIndex', tokenIndex!.shape, [rows])
    expectShape(where, 'targets', targets!.shape, [rows])
    expectDType(where, 'sampled', sampled!.dtype, ['i32'])
    if (controls !== undefined) expectShape(where, 'controls', controls.shape, [rows, controlColumns.length])
    if (processed !== undefined) {
      expectShape(where, 'processed', processed.shape, logits!.shape)
      expectDType(where, 'processed', processed.dtype, ['f32'])
    }
    return { next: sampled! }
  },
  reference(_attrs, { logits, temperature, seed, tokenIndex, targets, sampled, controls, processed }) {
    const [rows, vocabSize] = [logits!.shape[0]!, logits!.shape[1]!]
    for (let row = 0; row < rows; row++) {
      const settings = controls === undefined ? neutralControls : readControls(controls.data, row)
      const { data } = isProcessed(settings) ? (processed ?? logits!) : logits!
      const [best] = scoreRow(data.subarray(row * vocabSize, (row + 1) * vocabSize), settings, {
        temperature: temperature!.data[row]!,
        seed: [seed!.data[2 * row]! >>> 0, seed!.data[2 * row + 1]! >>> 0],
        tokenIndex: tokenIndex!.data[row]!,
      })
      sampled!.data[targets!.data[row]!] = best!.id
    }
    return { next: sampled! }
  },
}

export interface Draw {
  readonly temperature: number
  readonly seed: readonly [number, number]
  readonly tokenIndex: number
}

/**
 * The best two tokens of a row of processed logits and their scores; the first is the one that is sampled, −1 if no logit
 * is a number.
 */
export function scoreRow(
  logits: Float64Array,
  settings: Controls,
  { temperature, seed, tokenIndex }: Draw,
): { readonly id: number; readonly score: number }[] {
  const floor = temperature === 0 ? -Infinity : keptFloor(logits, settings, temperature)
  let best = { id: -1, score: -Infinity }
  let second = best
  logits.forEach((logit, id) => {
    if (!(logit >= floor)) return
    const score = temperature === 0 ? logit : logit / temperature + gumbel(id, tokenIndex, seed)
    if (score > best.score) [best, second] = [{ id, score }, best]
    else if (score > second.score) second = { id, score }
  })
  return [best, second]
}

/** The smallest logit that top-k, top-p and min-p keep; −∞ where they are neutral. */
export function keptFloor(
  logits: Float64Array,
  { topK, topP, minP }: Pick<Controls, 'topK' | 'topP' | 'minP'>,
  temperature: number,
): number {
  if (topK === 0 && topP >= 1 && minP === 0) return -Infinity
  const sorted = logits
    .filter((logit) => !Number.isNaN(logit))
    .sort()
    .reverse()
  const top = sorted[0]
  if (top === undefined) return -Infinity
  const weight = (logit: number): number => (logit === top ? 1 : Math.exp((logit - top) / temperature))
  let floor = -Infinity
  if (topK > 0) floor = sorted[Math.min(topK, sorted.length) - 1]!
  if (topP < 1) {
    const kept = sorted.filter((logit) => logit >= floor)
    const goal = topP * kept.reduce((sum, logit) => sum + weight(logit), 0)
    let sum = 0
    floor = kept.find((logit) => (sum += weight(logit)) >= goal)!
  }
  return minP > 0 ? Math.max(floor, top + temperature * Math.log(minP)) : floor
}

/** −log(−log(1 − u)) for the u that belongs to (seed, token index, id); four ids share one Philox block. */
export function gumbel(id: number, tokenIndex: number, seed: readonly [number, number]): number {
  const block = philox([id >>> 2, tokenIndex >>> 0, 0, 0], seed)
  return -Math.log(-Math.log1p(-uniform(block[id & 3]!)))
}
