// One kernel for steps of every size: equal WGSL in all plans of an engine, on every kind of adapter. That equal kernels
// give equal bits whatever the batch is tested in test/gpu.

import { describe, expect, test } from 'vitest'
import { planLlm, stepClasses } from '../../../src/engine/load.ts'
import { llamaSpec } from '../../../src/models/llama/family.ts'
import type { Capabilities } from '../../../src/plan/types.ts'
import { minimalCapabilities, tinyConfig } from '../models/tinyLlama.ts'

const spec = llamaSpec({
  ...tinyConfig,
  hiddenSize: 256,
  intermediateSize: 512,
  headDim: 64,
  vocabSize: 512,
  maxSeqLen: 1024,
})
const sizes = { maxNumSeqs: 8, maxNumBatchedTokens: 64 }

const gpu = { ...minimalCapabilities, adapterClass: 'gpu' } as const
const adapters: readonly (readonly [string, Capabilities])[] = [
  ['a CPU', minimalCapabilities],
  ['a CPU with subgroups', { ...minimalCapabilities, subgroups: true, subgroupSize: 8 }],
  ['a GPU', gpu],
  ['a GPU with subgroups', { ...gpu, subgroups: true, subgroupSize: 32 }],
  [
    'a GPU with matrices',
    {
      ...gpu,
      subgroups: true,
      subgroupSize: 32,
      nativeF16: true,
      maxWorkgroupBytes: 49_152,
      subgroupMatrix: { M: 16, N: 8, K: 16 },
    },
  ],
]

/** Shaders of each plan, in order. */
function shadersOf(capabilities: Capabilities, deterministic: boolean): string[][] {
  const shape = { ...sizes, dtype: 'f16', maxSeqLen: 1024, numBlocks: 64, head: 'sample' } as const
  const plans = planLlm(spec, { ...shape, deterministic }, stepClasses(sizes), capabilities)
  return plans.map(({ dispatches }) => dispatches.map(({ shader }) => shader.code))
}

describe.each(adapters)('%s', (_name, capabilities) => {
  test('runs the same shaders in steps of every size', () => {
    const [one, some, many] = shadersOf(capabilities, true)
    expect(one!.length).toBeGreaterThan(20)
    expect(some).toEqual(one)
    expect(many).toEqual(one)
  })

  test('runs different ones where speed counts', () => {
    const [one, , many] = shadersOf(capabilities, false)
    expect(many).not.toEqual(one)
  })
})
