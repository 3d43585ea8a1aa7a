// What happens to rows of logits before a token is drawn: countTokens, processLogits. Drawing itself is in sample.ts.

import {
  expectDType,
  expectRank,
  expectShape,
  fixedDim,
  refTensor,
  type NoAttrs,
  type OpDef,
} from '../opDef.ts'

/** Columns of `controls` [R, 7], the sampling parameters of a row; with neutral values a column does nothing. */
export const controlColumns = [
  /** 0 is neutral. */
  'topK',
  /** 1 is neutral. */
  'topP',
  /** 0 is neutral. */
  'minP',
  /** 1 is neutral. */
  'repetitionPenalty',
  /** 0 is neutral. */
  'presencePenalty',
  /** 0 is neutral. */
  'frequencyPenalty',
  /** Entries of the row's bias that count. */
  'numBiases',
] as const

/** Columns of `biasIds` and `biasValues` in the models' graphs. */
export const maxBiases = 64

export type Controls = Readonly<Record<(typeof controlColumns)[number], number>>

export const neutralControls: Controls = {
  topK: 0,
  topP: 1,
  minP: 0,
  repetitionPenalty: 1,
  presencePenalty: 0,
  frequencyPenalty: 0,
  numBiases: 0,
}

/** A row of `controls`. */
export function readControls(data: ArrayLike<number>, row: number): Controls {
  const at = (column: number): number => data[row * controlColumns.length + column]!
  return {
    topK: at(0),
    topP: at(1),
    minP: at(2),
    repetitionPenalty: at(3),
    presencePenalty: at(4),
    frequencyPenalty: at(5),
    numBiases: at(6),
  }
}

/** Whether a penalty is on, so that the row's tokens must be counted. */
export function hasPenalties({ repetitionPenalty, presencePenalty, frequencyPenalty }: Controls): boolean {
  return repetitionPenalty !== 1 || presencePenalty !== 0 || frequencyPenalty !== 0
}

/** Whether bias or penalties change the row: for others, processed logits need not be there. */
export function isProcessed(controls: Controls): boolean {
  return hasPenalties(controls) || controls.numBiases > 0
}

/** Set in a word of `tokenCounts` when the token is in the prompt; the bits below count how often it was generated. */
export const promptFlag: number = 2 ** 31

/**
 * Keeps `tokenCounts` [maxRows, V] up to date: ids [T] of this step, cuSeqlensQ [S + 1], contextLens [S], and targets
 * [S, 3] of (whether to count, row, prompt length). A sequence's first token (position 0) clears its row; each token
 * below the prompt length sets its prompt flag, each later one adds 1. So every token counts once, as an input and
 * hence one step after it was sampled, and a sequence that is recomputed after preemption counts itself again: no
 * list of tokens ever leaves the host. (A prefix that is taken from a cache instead of computed would be missed.)
 */
export const countTokens: OpDef<NoAttrs> = {
  inputs: ['ids', 'cuSeqlensQ', 'contextLens', 'targets', 'tokenCounts'],
  outputs: ['next'],
  nextVersionOf: { next: 'tokenCounts' },
  accuracy: 'exact',
  infer(_attrs, { ids, cuSeqlensQ, contextLens, targets, tokenCounts }, where) {
    expectDType(where, 'ids', ids!.dtype, ['i32'])
    expectRank(where, 'cuSeqlensQ', cuSeqlensQ!.shape, 1)
    expectShape(where, 'targets', targets!.shape, [contextLens!.shape[0]!, 3])
    expectDType(where, 'tokenCounts', tokenCounts!.dtype, ['u32'])
    expectRank(where, 'tokenCounts', tokenCounts!.shape, 2)
    return { next: tokenCounts! }
  },
  reference(_attrs, { ids, cuSeqlensQ, contextLens, targets, tokenCounts }) {
    const vocabSize = tokenCounts!.shape[1]!
    for (let s = 0; s < contextLens!.data.length; s++) {
      const [isCounted, row, promptLength] = targets!.data.subarray(3 * s, 3 * s + 3)
      if (isCounted === 0) continue
      const counts = tokenCounts!.data.subarray(row! * vocabSize, (row! + 1) * vocabSize)
      const [first, end] = [cuSeqlensQ!.data[s]!, cuSeqlensQ!.data[s + 1]!]
      const start = contextLens!.data[s]! - (end - first)
      if (start === 0) counts.fill(0)
      for (let t = first; t < end; t++) {
        const id = ids!.data[t]!
        if (!(id >= 0 && id < vocabSize)) continue
        if (start + t - first >= promptLength!) counts[id]!++
        else if (counts[id]! < promptFlag) counts[id]! += promptFlag
      }
    }
    return { next: tokenCounts! }
  },
}

/**
 * Bias and penalties, in this order, for each row r of logits [R, V] with l its logit of a token, c how often the
 * token was generated and f whether it is in the prompt (word of `tokenCounts` row targets[r]):
 *
 * 1. logit bias: l += biasValues[r, i] where biasIds[r, i] is the token, i < numBiases (these ids ascend);
 * 2. repetition penalty ρ (as in transformers): where c > 0 or f, l = l / ρ if l > 0, else l · ρ;
 * 3. presence α and frequency φ (as in OpenAI's API and vLLM): where c > 0, l −= α + φ · c.
 *
 * `tokenCounts` is only read where a penalty is on: rows of others are out of date. Rows of y that nothing changes
 * (`isProcessed`) hold anything: kernels leave them out, and `sample` does not read them.
 */
export const processLogits: OpDef<NoAttrs> = {
  inputs: ['logits', 'controls', 'biasIds', 'biasValues', 'tokenCounts', 'targets'],
  outputs: ['y'],
  accuracy: 'rounded',
  infer(_attrs, { logits, controls, biasIds, biasValues, tokenCounts, targets }, where) {
    expectRank(where, 'logits', logits!.shape, 2)
    expectDType(where, 'logits', logits!.dtype, ['f32'])
    const [rows, vocabSize] = [logits!.shape[0]!, fixedDim(where, logits!.shape[1])]
    expectShape(where, 'controls', controls!.shape, [rows, controlColumns.length])
    const maxBiases = fixedDim(where, biasIds!.shape[1])
    expectShape(where, 'biasIds', biasIds!.shape, [rows, maxBiases])
    expectShape(where, 'biasValues', biasValues!.shape, [rows, maxBiases])
    expectDType(where, 'tokenCounts', tokenCounts!.dtype, ['u32'])
    expectShape(where, 'tokenCounts', tokenCounts!.shape, [tokenCounts!.shape[0]!, vocabSize])
    expectShape(where, 'targets', targets!.shape, [rows])
    return { y: { dtype: 'f32', shape: logits!.shape } }
  },
  reference(_attrs, { logits, controls, biasIds, biasValues, tokenCounts, targets }) {
    const [rows, vocabSize] = [logits!.shape[0]!, logits!.shape[1]!]
    const maxBiases = biasIds!.shape[1]!
    const y = refTensor(logits!.shape)
    for (let row = 0; row < rows; row++) {
      const settings = readControls(controls!.data, row)
      const target = targets!.data[row]!
      y.data.set(
        processRow(
          logits!.data.subarray(row * vocabSize, (row + 1) * vocabSize),
          settings,
          biasIds!.data.subarray(row * maxBiases, row * maxBiases + settings.numBiases),
          biasValues!.data.subarray(row * maxBiases, row * maxBiases + settings.numBiases),
          tokenCounts!.data.subarray(target * vocabSize, (target + 1) * vocabSize),
        ),
        row * vocabSize,
      )
    }
    return { y }
  },
}

function processRow(
  logits: Float64Array,
  settings: Controls,
  biasIds: Float64Array,
  biasValues: Float64Array,
  words: Float64Array,
): Float64Array {
  const row = logits.slice()
  biasIds.forEach((id, i) => {
    if (id >= 0 && id < row.length) row[id]! += biasValues[i]!
  })
  if (!hasPenalties(settings)) return row
  const { repetitionPenalty, presencePenalty, frequencyPenalty } = settings
  return row.map((logit, id) => {
    const word = words[id]!
    if (word === 0) return logit
    const repeated = logit > 0 ? logit / repetitionPenalty : logit * repetitionPenalty
    const count = word % promptFlag
    return count === 0 ? repeated : repeated - (presencePenalty + frequencyPenalty * count)
  })
}
