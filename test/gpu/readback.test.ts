// Tokens that are read back together are the tokens that are read back one by one, with fewer waits and buffers that are
// made once.

import { expect, test } from 'vitest'
import { createEngineOn, openModelStore } from '../../src/api/model.ts'
import { openDawnGpu } from '../../src/device/dawn/dawn.ts'
import { createWebGpuDevice } from '../../src/device/webgpu/webgpu.ts'
import { directoryStore } from '../../src/node/directoryStore.ts'
import { fixturesDir } from '../helpers/dirs.ts'
import { greedy, prompt } from '../unit/api/models.ts'

interface Answer {
  readonly tokens: readonly number[]
  readonly sampled: readonly number[]
  readonly numWaits: number
  readonly numBuffers: number
}

async function answer(tokensPerReadback: number): Promise<Answer> {
  const { gpu, info } = await openDawnGpu()
  let numWaits = 0
  let numBuffers = 0
  const createBuffer = gpu.createBuffer.bind(gpu)
  gpu.createBuffer = (descriptor) => {
    const buffer = createBuffer(descriptor)
    if ((descriptor.usage & GPUBufferUsage.MAP_READ) === 0) return buffer
    numBuffers++
    const mapAsync = buffer.mapAsync.bind(buffer)
    buffer.mapAsync = (...args) => {
      numWaits++
      return mapAsync(...args)
    }
    return buffer
  }
  const model = await openModelStore(directoryStore(`${fixturesDir}/golden/llama/gqa`))
  const device = createWebGpuDevice(gpu, info, { polls: true })
  const sizes = { dtype: 'f32', maxSeqLen: 64, maxNumSeqs: 2, maxNumBatchedTokens: 16 } as const
  await using engine = await createEngineOn(device, model, { ...sizes, tokensPerReadback })
  await model.close()
  const request = { prompt, max_tokens: greedy.length }
  const { choices } = await engine.completions.create({ ...request, temperature: 0 })
  const waitsOfOne = numWaits
  const [seeded] = await Promise.all([
    engine.completions.create({ ...request, temperature: 0.9, seed: 3, repetition_penalty: 1.2 }),
    engine.completions.create({ ...request, temperature: 0 }),
  ])
  return {
    tokens: choices[0]!.tokens,
    sampled: seeded.choices[0]!.tokens,
    numWaits: waitsOfOne,
    numBuffers,
  }
}

test('tokens are the same, whether each is waited for or several together', async () => {
  const one = await answer(1)
  expect(one.tokens).toEqual(greedy)
  expect(one.numWaits).toBe(greedy.length)
  for (const together of [3, 16]) {
    const several = await answer(together)
    expect(several.tokens).toEqual(greedy)
    expect(several.sampled).toEqual(one.sampled)
    expect(several.numWaits).toBe(Math.ceil(greedy.length / together))
    expect(several.numBuffers).toBeLessThanOrEqual(2)
  }
})
