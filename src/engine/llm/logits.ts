// Logits of every position of one sequence: the forward pass without sampling, over a KV cache of its own.
// For measuring and for checking against other implementations; generation never reads logits back.

import { throwIfCancelled } from '../../core/errors.ts'
import type { Device, DeviceBuffer } from '../../device/device.ts'
import type { LlmSpec } from '../../models/spec.ts'
import { StepWriter } from '../../plan/stepLayout.ts'
import { blockSize, blocksFor, planLlm, preparePlans, type LlmShape } from '../load.ts'
import { checkLogits, type MemoryPlan } from '../memoryPlan.ts'
import { BlockManager } from './blockManager.ts'
import { Sequence, plainParams } from './sequence.ts'
import { buildStepInputs } from './stepInputs.ts'

export interface LogitsOptions {
  readonly signal?: AbortSignal | undefined
  /** Sizes of the prefill chunks; they must sum to the number of tokens. Default: chunks of up to 128. */
  readonly chunks?: readonly number[] | undefined
  /** Order in which KV blocks are handed out. */
  readonly blockOrder?: readonly number[] | undefined
  /** Bytes that the model and these logits may take together. */
  readonly budget?: number | undefined
}

/** The loaded model whose logits they are. */
export interface LogitsModel {
  readonly device: Device
  readonly spec: LlmSpec
  readonly options: Pick<LlmShape, 'dtype' | 'maxSeqLen' | 'deterministic'>
  readonly weights: ReadonlyMap<string, DeviceBuffer>
  /** What it takes by itself. */
  readonly memory: MemoryPlan
}

const defaultChunk = 128

/**
 * One row of `vocabSize` logits for each token. Throws engine/memory above the budget, before anything is allocated, and
 * engine/cancelled; what it allocated is freed then.
 */
export async function runLogits(
  { device, spec, options, weights, memory }: LogitsModel,
  tokens: readonly number[],
  { signal, chunks = evenChunks(tokens.length), blockOrder, budget }: LogitsOptions,
): Promise<(Float32Array | Float64Array)[]> {
  const { dtype, maxSeqLen, deterministic } = options
  const largest = Math.max(...chunks)
  const numBlocks = blockOrder?.length ?? blocksFor(tokens.length)
  const plans = planLlm(
    spec,
    { dtype, maxSeqLen, maxNumSeqs: 1, numBlocks, head: 'logits', deterministic },
    [{ T: largest, S: 1, R: largest }],
    device.capabilities,
  )
  if (budget !== undefined) checkLogits(plans[0]!, tokens.length, memory, budget)
  const loaded = await preparePlans(device, plans, weights, signal)
  try {
    const prepared = loaded.plans[0]!
    const writer = new StepWriter(prepared.plan.step, prepared.plan.maxima)
    const blocks = new BlockManager(numBlocks, blockSize, blockOrder)
    const sequence = new Sequence(plainParams(tokens, 0))
    sequence.row = 0
    sequence.blockTable = Array.from({ length: blocksFor(tokens.length) }, () => blocks.allocate())
    const rows: (Float32Array | Float64Array)[] = []
    for (const numTokens of chunks) {
      throwIfCancelled(signal, 'logits')
      const chunk = { sequence, start: rows.length, numTokens, samples: true }
      const maxBlocksPerSeq = blocksFor(maxSeqLen)
      const { dims, values } = buildStepInputs([chunk], { blockSize, maxBlocksPerSeq })
      const all = Array.from({ length: numTokens }, (_, row) => row)
      const step = writer.write({ ...dims, R: numTokens }, { ...values, logitsRows: all })
      const { logits } = await device.run(prepared, step, ['logits'])
      const { vocabSize } = spec.config
      for (const row of all) {
        const data = logits!.data as Float32Array | Float64Array
        rows.push(data.subarray(row * vocabSize, (row + 1) * vocabSize))
      }
    }
    return rows
  } finally {
    loaded.dispose()
  }
}

function evenChunks(numTokens: number): number[] {
  return Array.from({ length: Math.ceil(numTokens / defaultChunk) }, (_, i) =>
    Math.min(defaultChunk, numTokens - i * defaultChunk),
  )
}
