// The serving engine on a real (random, PyTorch-made) model: what shares a step, a cache or a device with a request must
// not change its tokens. On the f64 reference and on WGSL in f32. What steps cost is in test/unit/engine.

import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createEngineOn, openModelStore, type LoadedModel } from '../../src/api/model.ts'
import type { Device, DeviceBuffer } from '../../src/device/device.ts'
import { openDawnDevice } from '../../src/device/dawn/dawn.ts'
import { createReferenceDevice } from '../../src/device/reference/reference.ts'
import { LlmEngine, type LlmEngineOptions } from '../../src/engine/llm/llmEngine.ts'
import { directoryStore } from '../../src/node/directoryStore.ts'
import { flatten, readGolden } from '../helpers/golden.ts'
import { seededRandom } from '../helpers/random.ts'

const maxSeqLen = 64
const options: LlmEngineOptions = {
  dtype: 'f32',
  maxSeqLen,
  maxNumSeqs: 4,
  maxNumBatchedTokens: 16,
  numBlocks: 16,
}

interface Sampling {
  readonly temperature?: number
  readonly seed?: readonly [number, number]
}

async function openModel(): Promise<LoadedModel> {
  return openModelStore(directoryStore((await readGolden('gqa')).dir))
}

async function load(device: Device, changes: Partial<LlmEngineOptions> = {}): Promise<LlmEngine> {
  const model = await openModel()
  try {
    return await LlmEngine.load(device, model.spec, model.checkpoint, { ...options, ...changes })
  } finally {
    await model.close()
  }
}

async function generate(
  engine: LlmEngine,
  promptTokens: readonly number[],
  maxNewTokens: number,
  { temperature = 0, seed = [0, 0] }: Sampling = {},
): Promise<number[]> {
  const tokens: number[] = []
  const params = {
    promptTokens,
    maxNewTokens,
    stopTokenIds: new Set<number>(),
    sampling: { temperature, seed },
  }
  for await (const { token } of engine.generate(params)) tokens.push(token)
  return tokens
}

/** Eight prompts from one token to three times the token budget, with answers of 3 to 17 tokens. */
const requests = [1, 5, 16, 17, 33, 47, 2, 9].map((length, index) => {
  const random = seededRandom(index + 1)
  return {
    prompt: Array.from({ length }, () => random.integer(96)),
    numNew: 3 + 2 * index,
  }
})

const allAtOnce = (engine: LlmEngine, sampling?: (index: number) => Sampling): Promise<number[][]> =>
  Promise.all(
    requests.map(({ prompt, numNew }, index) => generate(engine, prompt, numNew, sampling?.(index))),
  )

describe.each(['reference', 'webgpu'] as const)('on %s', (name) => {
  let device: Device
  let engine: LlmEngine
  let alone: number[][]

  beforeAll(async () => {
    device = name === 'reference' ? createReferenceDevice() : await openDawnDevice()
    engine = await load(device)
    alone = []
    for (const { prompt, numNew } of requests) alone.push(await generate(engine, prompt, numNew))
  })

  afterAll(async () => {
    await engine.dispose()
    device.dispose()
  })

  test('eight requests at once get the tokens that each gets alone', async () => {
    expect(alone.map(({ length }) => length)).toEqual(requests.map(({ numNew }) => numNew))
    expect(await allAtOnce(engine)).toEqual(alone)
    // The control: the requests are not all the same.
    expect(new Set(alone.map((tokens) => tokens.slice(0, 3).join())).size).toBeGreaterThan(5)
  })

  test('requests that arrive one after the other, while others run, get them too', async () => {
    const results: Promise<number[]>[] = []
    for (const { prompt, numNew } of requests) {
      results.push(generate(engine, prompt, numNew))
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
    expect(await Promise.all(results)).toEqual(alone)
  })

  test('preemption changes no token', async () => {
    const counting = countingDevice(device)
    // One sequence of full length fits, or four short ones until they grow.
    const tight = await load(counting.device, { numBlocks: maxSeqLen / 16 })
    expect(await allAtOnce(tight)).toEqual(alone)
    // What is computed again shows in the number of tokens that steps have taken.
    const numNeeded = requests.reduce((sum, { prompt, numNew }) => sum + prompt.length + numNew - 1, 0)
    expect(counting.numTokens()).toBeGreaterThan(numNeeded)
    await tight.dispose()
  })

  test('with room for all, no token is computed twice', async () => {
    const counting = countingDevice(device)
    const roomy = await load(counting.device)
    expect(await allAtOnce(roomy)).toEqual(alone)
    const numNeeded = requests.reduce((sum, { prompt, numNew }) => sum + prompt.length + numNew - 1, 0)
    expect(counting.numTokens()).toBe(numNeeded)
    await roomy.dispose()
  })

  test.each([
    [5, 3],
    [64, 4],
  ])('a budget of %i tokens a step changes no token', async (maxNumBatchedTokens, maxNumSeqs) => {
    const other = await load(device, { maxNumBatchedTokens, maxNumSeqs })
    expect(await allAtOnce(other)).toEqual(alone)
    await other.dispose()
  })

  test('cancelled neighbours change no token', async () => {
    const cancelled = requests.slice(3).map(async ({ prompt }, index) => {
      const tokens = engine.generate({
        promptTokens: prompt,
        maxNewTokens: 30,
        stopTokenIds: new Set(),
        sampling: { temperature: 0, seed: [0, 0] },
      })
      for (let i = 0; i <= index; i++) await tokens.next()
      await tokens.return()
    })
    expect(await allAtOnce(engine)).toEqual(alone)
    await Promise.all(cancelled)
  })

  test('greedy tokens are those of PyTorch, alone and in company', async () => {
    const { prompts } = await readGolden('gqa')
    const company = allAtOnce(engine)
    const results = await Promise.all(prompts.map(({ tokens }) => generate(engine, tokens, 16)))
    expect(results).toEqual(prompts.map(({ greedy }) => greedy))
    await company
  })

  test('the same seed samples the same tokens in any company, another seed others', async () => {
    const sampling = (index: number): Sampling => ({ temperature: 1, seed: [index, 9] })
    const sampled: number[][] = []
    for (const [index, { prompt, numNew }] of requests.entries())
      sampled.push(await generate(engine, prompt, numNew, sampling(index)))
    expect(await allAtOnce(engine, sampling)).toEqual(sampled)
    const others = await allAtOnce(engine, (index) => ({ temperature: 1, seed: [index, 10] }))
    for (const [index, tokens] of others.entries()) expect(tokens).not.toEqual(sampled[index])
    expect(sampled).not.toEqual(alone)
  })

  test('memory returns to zero when the engine is disposed of', async () => {
    const own = name === 'reference' ? createReferenceDevice() : await openDawnDevice()
    const model = await openModel()
    const facade = await createEngineOn(own, model, { dtype: 'f32', maxSeqLen })
    await model.close()
    const { choices } = await facade.completions.create({ prompt: [1, 2, 3], max_tokens: 4 })
    expect(choices[0]!.tokens).toHaveLength(4)
    const { weights, states, arena } = facade.memory()
    expect(Math.min(weights, states, arena)).toBeGreaterThan(0)
    await facade.dispose()
    expect(facade.memory()).toEqual({ weights: 0, states: 0, arena: 0, step: 0, readback: 0 })
    await facade.dispose()
  })

  test('logits leave the memory as they found it', async () => {
    await engine.logits([1, 2, 3])
    const before = device.memory()
    await engine.logits([1, 2, 3])
    expect(device.memory()).toEqual(before)
  })
})

/** The device, and the number of tokens in all steps that it has run. */
function countingDevice(device: Device): { device: Device; numTokens: () => number } {
  let numTokens = 0
  const counting: Device = {
    ...device,
    run(prepared, step, outputs) {
      numTokens += step.dims.T
      return device.run(prepared, step, outputs)
    },
  }
  return { device: counting, numTokens: () => numTokens }
}

describe('WGSL and the reference', () => {
  // At these seeds no two candidates are close enough for f32 to swap them.
  test('sample the same tokens at temperature 1', async () => {
    const results: number[][][] = []
    for (const device of [createReferenceDevice(), await openDawnDevice()]) {
      const engine = await load(device)
      results.push(
        await allAtOnce(engine, (index) => ({ temperature: 1, seed: [index + 100, 0xffff_ffff - index] })),
      )
      await engine.dispose()
      device.dispose()
    }
    expect(results[1]).toEqual(results[0])
  })
})

type Poisoning = 'at allocation' | 'before every step'

/** A device whose KV caches hold NaN, and what the last step left in the first of them. */
function poisoningDevice(
  device: Device,
  dtype: 'f32' | 'f16',
  when: Poisoning,
): { device: Device; cache: () => Promise<number[]> } {
  const caches: DeviceBuffer[] = []
  let last: ReturnType<Device['run']> | undefined
  const poison = (buffer: DeviceBuffer): Promise<void> => {
    const words = new Uint32Array(buffer.bytes / 4).fill(dtype === 'f32' ? 0x7fc0_0000 : 0x7e00_7e00)
    return device.upload(buffer, 0, new Uint8Array(words.buffer))
  }
  const poisoning: Device = {
    ...device,
    async alloc(bytes, owner, label) {
      const buffer = await device.alloc(bytes, owner, label)
      if (!label.endsWith('_cache')) return buffer
      caches.push(buffer)
      await poison(buffer)
      return buffer
    },
    run(prepared, step, outputs) {
      // Uploads take their place in the queue at once, before the step.
      if (when === 'before every step') void Promise.all(caches.map(poison))
      last = device.run(prepared, step, [...outputs, 'layers.0.k_cache'])
      return last
    },
  }
  return { device: poisoning, cache: async () => [...(await last!)['layers.0.k_cache']!.data] }
}

describe.each(['f32', 'f16'] as const)('NaN in the KV cache in %s', (dtype) => {
  const blockOrder = [5, 2, 7, 0, 1, 3, 4, 6]
  const chunks = [16, 17]
  let device: Device
  let tokens: number[]

  beforeAll(async () => {
    device = await openDawnDevice()
    tokens = (await readGolden('gqa')).prompts[2]!.tokens
  })

  afterAll(() => device.dispose())

  async function logits(target: Device): Promise<Float64Array> {
    const engine = await load(target, { dtype })
    const rows = flatten(await engine.logits(tokens, { blockOrder, chunks }))
    await engine.dispose()
    return rows
  }

  test('changes no logit where nobody refers to it', async () => {
    const { device: poisoned, cache } = poisoningDevice(device, dtype, 'at allocation')
    expect(await logits(poisoned)).toEqual(await logits(device))
    const left = await cache()
    // All but the rows of the 33 tokens, of two heads of eight numbers each.
    expect(left).toHaveLength(8 * 16 * 16)
    expect(left.filter(Number.isNaN)).toHaveLength((8 * 16 - 33) * 16)
  })

  test('changes no token', async () => {
    const clean = await load(device, { dtype })
    const expected = await allAtOnce(clean)
    await clean.dispose()
    const dirty = await load(poisoningDevice(device, dtype, 'at allocation').device, { dtype })
    expect(await allAtOnce(dirty)).toEqual(expected)
    await dirty.dispose()
  })

  test('does show where a sequence refers to it', async () => {
    const rows = await logits(poisoningDevice(device, dtype, 'before every step').device)
    const vocabSize = 96
    expect(rows.subarray(0, 16 * vocabSize).some(Number.isNaN)).toBe(false)
    expect(rows.subarray(16 * vocabSize).every(Number.isNaN)).toBe(true)
  })
})
