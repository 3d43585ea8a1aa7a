// Compiling ahead, on Dawn's null backend: each shader once, the longest first, a few at a time, and none that nobody
// waits for any more.

import { afterEach, beforeEach, expect, test } from 'vitest'
import { openDawnGpu } from '../../../src/device/dawn/dawn.ts'
import { capabilitiesOf } from '../../../src/device/webgpu/capabilities.ts'
import { PipelineCache } from '../../../src/device/webgpu/pipelines.ts'
import { planLlm, stepClasses } from '../../../src/engine/load.ts'
import type { Dispatch } from '../../../src/plan/types.ts'
import { tinySpec } from '../models/tinyLlama.ts'

let gpu: GPUDevice
let cache: PipelineCache
let dispatches: Dispatch[]
/** Code of each shader that was begun. */
let begun: string[]
let numRunning: number
let mostRunning: number

beforeEach(async () => {
  const opened = await openDawnGpu({ backend: 'null' })
  gpu = opened.gpu
  const shape = { dtype: 'f32', maxSeqLen: 32, maxNumSeqs: 2, numBlocks: 4, head: 'sample' } as const
  const classes = stepClasses({ maxNumSeqs: 2, maxNumBatchedTokens: 16 })
  const plans = planLlm(tinySpec, shape, classes, capabilitiesOf(gpu, opened.info))
  dispatches = plans.flatMap((plan) => plan.dispatches)
  begun = []
  numRunning = 0
  mostRunning = 0
  const createShaderModule = gpu.createShaderModule.bind(gpu)
  const createComputePipelineAsync = gpu.createComputePipelineAsync.bind(gpu)
  gpu.createShaderModule = (descriptor) => {
    begun.push(descriptor.code)
    return createShaderModule(descriptor)
  }
  gpu.createComputePipelineAsync = async (descriptor) => {
    mostRunning = Math.max(mostRunning, ++numRunning)
    await new Promise((resolve) => setTimeout(resolve, 2))
    const pipeline = await createComputePipelineAsync(descriptor)
    numRunning--
    return pipeline
  }
  cache = new PipelineCache(gpu)
})
afterEach(() => gpu.destroy())

const distinct = (): Set<string> => new Set(dispatches.map(({ shader }) => shader.code))

test('each shader is compiled once, the longest first, a few at a time, and counted', async () => {
  const seen: [number, number][] = []
  await cache.compileAll(dispatches, { onCompiled: (...counts) => seen.push(counts) })
  const total = distinct().size
  expect(total).toBeGreaterThan(20)
  expect(total).toBeLessThan(dispatches.length)
  expect(seen).toEqual(Array.from({ length: total + 1 }, (_, done) => [done, total]))
  const lengths = begun.map((code) => code.length)
  expect(lengths).toEqual(lengths.toSorted((a, b) => b - a))
  expect(begun).toHaveLength(total)
  expect(mostRunning).toBeLessThanOrEqual(16)
  for (const dispatch of dispatches) await cache.pipeline(dispatch)
  expect(begun).toHaveLength(total)
})

test('an abort ends the wait at once, and none is begun after it', async () => {
  const abort = new AbortController()
  const seen: number[] = []
  const compiling = cache.compileAll(dispatches, {
    signal: abort.signal,
    onCompiled(done) {
      seen.push(done)
      if (done === 2) abort.abort('enough')
    },
  })
  await expect(compiling).rejects.toMatchObject({ code: 'engine/cancelled', cause: 'enough' })
  const { length } = begun
  expect(length).toBeLessThan(distinct().size)
  await new Promise((resolve) => setTimeout(resolve, 30))
  expect(begun).toHaveLength(length)
  expect(seen).toEqual([0, 1, 2])
})

test('a shader that fails ends it with device/shader, and none is begun after it', async () => {
  const [first] = dispatches
  const broken = { ...first!, shader: { ...first!.shader, code: 'nonsense'.repeat(10_000) } }
  await expect(cache.compileAll([...dispatches, broken])).rejects.toMatchObject({ code: 'device/shader' })
  const { length } = begun
  await new Promise((resolve) => setTimeout(resolve, 30))
  expect(begun).toHaveLength(length)
})
