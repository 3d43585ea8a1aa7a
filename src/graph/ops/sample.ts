// sample: one token id for each row of logits, chosen where the logits are. Not here: penalties and truncation.

import { philox, uniform } from '../../core/philox.ts'
import { expectDType, expectRank, expectShape, type OpDef, type NoAttrs } from '../opDef.ts'

/**
 * logits [R, V], temperature [R], seed [R, 2], tokenIndex [R] → row targets[r] of `sampled` [maxRows].
 * Temperature 0 takes the largest logit, the lowest id on ties. Otherwise the Gumbel-max trick: the largest of
 * logit / temperature − log(E), E exponential from Philox keyed by the seed and counted by (id, tokenIndex), which
 * is a draw from softmax(logits / temperature). NaN logits are never chosen over a number.
 */
export const sample: OpDef<NoAttrs> = {
  inputs: ['logits', 'temperature', 'seed', 'tokenIndex', 'targets', 'sampled'],
  outputs: ['next'],
  nextVersionOf: { next: 'sampled' },
  accuracy: 'exact',
  infer(_attrs, { logits, temperature, seed, tokenIndex, targets, sampled }, where) {
    expectRank(where, 'logits', logits!.shape, 2)
    expectDType(where, 'logits', logits!.dtype, ['f32'])
    const rows = logits!.shape[0]!
    expectShape(where, 'temperature', temperature!.shape, [rows])
    expectShape(where, 'seed', seed!.shape, [rows, 2])
    expectShape(where, 'tokenIndex', tokenIndex!.shape, [rows])
    expectShape(where, 'targets', targets!.shape, [rows])
    expectDType(where, 'sampled', sampled!.dtype, ['i32'])
    return { next: sampled! }
  },
  reference(_attrs, { logits, temperature, seed, tokenIndex, targets, sampled }) {
    const [rows, vocabSize] = [logits!.shape[0]!, logits!.shape[1]!]
    for (let row = 0; row < rows; row++) {
      let best = 0
      let bestScore = -Infinity
      for (let id = 0; id < vocabSize; id++) {
        const logit = logits!.data[row * vocabSize + id]!
        const heat = temperature!.data[row]!
        const key = [seed!.data[2 * row]! >>> 0, seed!.data[2 * row + 1]! >>> 0] as const
        const score = heat === 0 ? logit : logit / heat + gumbel(id, tokenIndex!.data[row]!, key)
        if (score > bestScore) {
          bestScore = score
          best = id
        }
      }
      sampled!.data[targets!.data[row]!] = best
    }
    return { next: sampled! }
  },
}

/** −log(−log(1 − u)) for the u that belongs to (seed, token index, id); four ids share one Philox block. */
export function gumbel(id: number, tokenIndex: number, seed: readonly [number, number]): number {
  const block = philox([id >>> 2, tokenIndex >>> 0, 0, 0], seed)
  return -Math.log(-Math.log1p(-uniform(block[id & 3]!)))
}
