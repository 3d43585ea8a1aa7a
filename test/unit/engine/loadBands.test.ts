// Loading weights that are split by rows: every element of the checkpoint is read once, whatever the bands, and
// progress ends at all of it. And how many KV blocks an engine keeps where a binding is small.

import { describe, expect, test } from 'vitest'
import { syntheticSpec } from '../../../src/bench/synthetic.ts'
import { createRecordingDevice } from '../../../src/device/recording/recording.ts'
import { LlmEngine } from '../../../src/engine/llm/llmEngine.ts'
import { fitBlocks, planLlm } from '../../../src/engine/load.ts'
import { loadWeights, weightsOf } from '../../../src/engine/loadWeights.ts'
import type { LlamaConfig } from '../../../src/models/llama/config.ts'
import { llamaSpec } from '../../../src/models/llama/family.ts'
import type { Capabilities } from '../../../src/plan/types.ts'
import { minimalCapabilities, tinyConfig } from '../models/tinyLlama.ts'
import { checkpointFor, type LoggedCheckpoint } from './memoryCheckpoint.ts'

const config: LlamaConfig = { ...tinyConfig, vocabSize: 48, hiddenSize: 32, intermediateSize: 40, headDim: 8 }
const spec = llamaSpec(config)
/** Every matrix of `config` is larger. */
const maxBindingBytes = 2304
const capabilities: Capabilities = { ...minimalCapabilities, maxBindingBytes }

interface Loaded {
  readonly checkpoint: LoggedCheckpoint
  readonly progress: readonly (readonly [loaded: number, total: number])[]
  readonly weightBytes: readonly number[]
}

async function load(changes: Partial<LlamaConfig> = {}): Promise<Loaded> {
  const shape = { dtype: 'f32', maxSeqLen: 16, maxNumSeqs: 1, numBlocks: 1, head: 'logits' } as const
  const changed = llamaSpec({ ...config, ...changes })
  const plans = planLlm(changed, shape, [{ T: 1, S: 1, R: 1 }], capabilities)
  const checkpoint = checkpointFor(changed)
  const progress: [number, number][] = []
  await loadWeights(createRecordingDevice(capabilities), plans, checkpoint, {
    onProgress: (loaded, total) => progress.push([loaded, total]),
  })
  return { checkpoint, progress, weightBytes: [...weightsOf(plans).values()].map(({ bytes }) => bytes) }
}

describe.each([
  { name: 'untied', changes: {} },
  { name: 'tied', changes: { tieWordEmbeddings: true } },
  { name: 'with biases', changes: { qkvBias: true, outputBias: true, mlpBias: true } },
])('the bands of a model, $name', ({ changes }) => {
  test('read every element of every tensor once', async () => {
    const { checkpoint, weightBytes } = await load(changes)
    expect(Math.max(...weightBytes)).toBeLessThanOrEqual(maxBindingBytes)
    for (const { name, bytes } of checkpoint.tensors.values()) {
      const reads = checkpoint.reads.filter((read) => read.name === name)
      const elements = reads.flatMap(({ start, count }) => Array.from({ length: count }, (_, i) => start + i))
      const sorted = elements.toSorted((a, b) => a - b)
      expect(sorted, `elements of ${name}`).toEqual(Array.from({ length: bytes / 4 }, (_, i) => i))
    }
  })

  test('report progress that rises to all bytes', async () => {
    const { progress, weightBytes } = await load(changes)
    const total = weightBytes.reduce((sum, bytes) => sum + bytes, 0)
    expect(new Set(progress.map(([, of]) => of))).toEqual(new Set([total]))
    const loaded = progress.map(([bytes]) => bytes)
    expect(loaded).toEqual(loaded.toSorted((a, b) => a - b))
    expect(loaded.at(-1)).toBe(total)
  })
})

describe('planning within the minimum of WebGPU', () => {
  test.each([
    { model: 'llama-1b', bands: { embed_tokens: 4, lm_head: 4 } },
    { model: 'llama-2-7b', bands: { embed_tokens: 2, 'gate_proj+up_proj': 2, lm_head: 2 } },
    {
      model: 'llama-2-70b',
      bands: { embed_tokens: 4, 'q_proj+k_proj+v_proj': 2, 'gate_proj+up_proj': 7, down_proj: 4, lm_head: 4 },
    },
  ])('$model: $bands', ({ model, bands }) => {
    const shape = { dtype: 'f16', maxSeqLen: 512, maxNumSeqs: 4, numBlocks: 64, head: 'sample' } as const
    const maxima = { T: 256, S: 4, R: 4 }
    const llama = syntheticSpec(`synthetic:${model}`, 1)
    const [plan] = planLlm(llama, shape, [maxima], minimalCapabilities)
    const counts: Record<string, number> = {}
    for (const { origin } of plan!.dispatches) {
      const name = /([^.]+)\[\d+:\d+\]$/.exec(origin)?.[1]
      if (name !== undefined) counts[name] = (counts[name] ?? 0) + 1
    }
    expect(counts).toEqual(bands)
  })
})

describe('KV blocks', () => {
  // 2 heads × 16 tokens × 8 elements × 4 bytes: a layer's keys of a block.
  const blockBytes = 1024
  const options = { dtype: 'f32', maxSeqLen: 32, numBlocks: 40 } as const
  const fit = (bytes: number, changes: Partial<typeof options> | { dtype: 'f16' } = {}): number =>
    fitBlocks(spec, { ...options, ...changes }, { ...capabilities, maxBindingBytes: bytes })

  test.each([
    { name: 'all, where they fit', bytes: 40 * blockBytes, blocks: 40 },
    { name: 'one fewer, where a byte lacks', bytes: 40 * blockBytes - 1, blocks: 39 },
    { name: 'those of one sequence at least', bytes: blockBytes, blocks: 2 },
  ])('are $name', ({ bytes, blocks }) => {
    expect(fit(bytes)).toBe(blocks)
  })

  test('are as many again in f16', () => {
    expect(fit(20 * blockBytes, { dtype: 'f16' })).toBe(40)
    expect(fit(19 * blockBytes, { dtype: 'f16' })).toBe(38)
  })

  test('of an engine are those that fit', async () => {
    const device = createRecordingDevice({ ...minimalCapabilities, maxBindingBytes: 10 * blockBytes })
    const llm = await LlmEngine.load(device, spec, checkpointFor(spec), {
      ...options,
      maxNumSeqs: 2,
      maxNumBatchedTokens: 4,
    })
    expect(llm.options.numBlocks).toBe(10)
    await llm.dispose()
  })

  test('of one sequence that do not fit are refused', async () => {
    const device = createRecordingDevice(capabilities)
    const load = LlmEngine.load(device, spec, checkpointFor(spec), {
      ...options,
      maxSeqLen: 48,
      maxNumSeqs: 1,
      maxNumBatchedTokens: 1,
    })
    await expect(load).rejects.toThrow(/^\[plan\/limit\]/)
  })
})
