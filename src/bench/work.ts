// What a step must do at least: bytes of weights that it reads, multiplications and additions. Counted from the plan
// and the configuration, never measured.

import type { LlamaConfig } from '../models/llama/config.ts'
import type { Plan } from '../plan/types.ts'

/** Bytes of the model's weights that one step reads whole: not the embedding's rows, nor tables made on the host. */
export function weightBytesOf({ buffers, dispatches }: Plan): number {
  const read = new Set(
    dispatches
      .filter(({ op }) => op !== 'embedding')
      .flatMap(({ bindings }) => bindings.map(({ buffer }) => buffer)),
  )
  return buffers
    .filter((buffer) => buffer.role === 'weight' && buffer.expr.kind !== 'table' && read.has(buffer.id))
    .reduce((total, { bytes }) => total + bytes, 0)
}

/** Floating-point operations of a prefill of `numTokens` tokens with logits of the last one. */
export function prefillFlops(config: LlamaConfig, numTokens: number): number {
  const { hiddenSize, intermediateSize, numLayers, numHeads, numKvHeads, headDim, vocabSize } = config
  const projections = hiddenSize * headDim * (2 * numHeads + 2 * numKvHeads)
  const linears = projections + 3 * hiddenSize * intermediateSize
  // Scores and weighted sums over the keys up to each token.
  const attention = 2 * numHeads * headDim * ((numTokens * (numTokens + 1)) / 2)
  return 2 * (numLayers * (linears * numTokens + attention) + hiddenSize * vocabSize)
}
