// Logits beside a loaded model: one call at a time, within the budget, and ended by its signal. That they are right is
// tested in test/golden.

import { describe, expect, test } from 'vitest'
import { RuntimeFault } from '../../../src/core/errors.ts'
import { openDawnDevice } from '../../../src/device/dawn/dawn.ts'
import type { Device } from '../../../src/device/device.ts'
import { createRecordingDevice } from '../../../src/device/recording/recording.ts'
import { fitPlans } from '../../../src/engine/fit.ts'
import { LlmEngine, type LlmEngineOptions } from '../../../src/engine/llm/llmEngine.ts'
import { llamaSpec } from '../../../src/models/llama/family.ts'
import { minimalCapabilities, tinyConfig } from '../models/tinyLlama.ts'
import { checkpointFor } from './memoryCheckpoint.ts'

// Enough for logits that are larger than tokens ever are.
const spec = llamaSpec({ ...tinyConfig, vocabSize: 1024 })
const options: LlmEngineOptions = {
  dtype: 'f32',
  maxSeqLen: 256,
  maxNumSeqs: 2,
  maxNumBatchedTokens: 8,
  numBlocks: 16,
}
const tokens = (count: number): number[] => Array.from({ length: count }, (_, i) => i % 23)

const load = (device: Device, budget?: number): Promise<LlmEngine> =>
  LlmEngine.load(device, spec, checkpointFor(spec), {
    ...options,
    budget: budget === undefined ? undefined : { bytes: budget, open: [] },
  })

const sum = (device: Device): number =>
  Object.values(device.memory()).reduce((total, bytes) => total + bytes, 0)

interface Watched {
  readonly device: Device
  /** Most bytes at any time since the last call, and how often `run` was called. */
  readonly take: () => { readonly peak: number; readonly numRuns: number }
}

/** Notes how much is allocated; results take a moment, as on a GPU, and `beforeAlloc` is awaited. */
function watched(inner: Device, beforeAlloc: () => Promise<void> = async () => undefined): Watched {
  let peak = 0
  let numRuns = 0
  const note = (): void => void (peak = Math.max(peak, sum(inner)))
  return {
    device: {
      ...inner,
      async alloc(...args) {
        await beforeAlloc()
        const buffer = await inner.alloc(...args)
        note()
        return buffer
      },
      async run(...args) {
        numRuns++
        const results = inner.run(...args)
        note()
        await new Promise((resolve) => setTimeout(resolve, 2))
        return results
      },
    },
    take() {
      const taken = { peak, numRuns }
      peak = 0
      numRuns = 0
      return taken
    },
  }
}

describe('calls at the same time', () => {
  test('take turns, with the memory of one', async () => {
    const { device, take } = watched(createRecordingDevice(minimalCapabilities))
    const engine = await load(device)
    take()
    await engine.logits(tokens(20))
    const { peak } = take()
    await Promise.all(Array.from({ length: 20 }, () => engine.logits(tokens(20))))
    expect(take()).toEqual({ peak, numRuns: 20 })
  })

  test('and one that fails lets the others go on', async () => {
    const { device, take } = watched(createRecordingDevice(minimalCapabilities))
    const engine = await load({
      ...device,
      run: (...args) => (args[1].dims.T === 5 ? Promise.reject(new RangeError('five')) : device.run(...args)),
    })
    take()
    const failed = engine.logits(tokens(5))
    const next = engine.logits(tokens(6))
    await expect(failed).rejects.toThrow('five')
    expect(await next).toHaveLength(6)
  })

  test('can be aborted while they wait, at once and without a step', async () => {
    const { device, take } = watched(createRecordingDevice(minimalCapabilities))
    const engine = await load(device)
    take()
    const order: string[] = []
    const abort = new AbortController()
    const first = engine.logits(tokens(200)).then(() => order.push('first'))
    const second = engine.logits(tokens(20), { signal: abort.signal }).catch((error: unknown) => {
      order.push('second')
      return error
    })
    const third = engine.logits(tokens(20)).then(() => order.push('third'))
    abort.abort(new Error('the user left'))
    expect(await second).toMatchObject({ code: 'engine/cancelled', cause: { message: 'the user left' } })
    await Promise.all([first, third])
    expect(order).toEqual(['second', 'first', 'third'])
    expect(take().numRuns).toBe(3)
  })
})

test('a signal ends the preparation, and frees what it has taken', async () => {
  const abort = new AbortController()
  let isLoaded = false
  let numAllocs = 0
  const { device, take } = watched(createRecordingDevice(minimalCapabilities), async () => {
    if (isLoaded && ++numAllocs === 2) abort.abort()
  })
  const engine = await load(device)
  isLoaded = true
  const before = device.memory()
  take()
  await expect(engine.logits(tokens(20), { signal: abort.signal })).rejects.toMatchObject({
    code: 'engine/cancelled',
  })
  expect(numAllocs).toBe(2)
  expect(take().numRuns).toBe(0)
  expect(device.memory()).toEqual(before)
})

describe('the budget', () => {
  /** What a device holds at most while logits of 130 tokens are computed, and the model's buffers for tokens. */
  async function need(): Promise<number> {
    const { device, take } = watched(await openDawnDevice({ backend: 'null' }))
    const { memory } = fitPlans('m', spec, options, device.capabilities)
    const engine = await load(device)
    take()
    expect(await engine.logits(tokens(130))).toHaveLength(130)
    const { peak } = take()
    expect(peak - sum(device)).toBeGreaterThan(128 * 1024 * 4)
    await engine.dispose()
    device.dispose()
    return peak + memory.readbackBytes
  }

  test('is kept to the byte, beside the loaded model', async () => {
    const budget = await need()
    const { device, take } = watched(await openDawnDevice({ backend: 'null' }))
    const engine = await load(device, budget)
    for (let again = 0; again < 2; again++) expect(await engine.logits(tokens(130))).toHaveLength(130)
    await engine.dispose()
    const smaller = await load(device, budget - 1)
    take()
    const fault: unknown = await smaller.logits(tokens(130)).catch((error: unknown) => error)
    expect(take()).toEqual({ peak: 0, numRuns: 0 })
    expect(fault).toBeInstanceOf(RuntimeFault)
    expect((fault as RuntimeFault).message).toMatch(
      /^\[engine\/memory\] logits of 130 tokens: expected at most \d\.\d\d MiB, got \d\.\d\d MiB of the loaded model \+ \d\.\d\d MiB of KV cache \+ \d\.\d\d MiB of arena for 128 tokens a step \+ \d\.\d\d MiB of step buffers = \d\.\d\d MiB\. Raise maxMemory, load with a smaller maxSeqLen, or ask for the logits of fewer tokens\.$/,
    )
    expect(await smaller.logits(tokens(20))).toHaveLength(20)
    device.dispose()
  })
})

test('dispose ends those that run and those that wait, and leaves nothing', async () => {
  const { device } = watched(createRecordingDevice(minimalCapabilities))
  const engine = await load(device)
  const all = Promise.allSettled([engine.logits(tokens(256)), engine.logits(tokens(20))])
  await new Promise((resolve) => setTimeout(resolve, 1))
  await engine.dispose()
  const disposed = { status: 'rejected', reason: { code: 'engine/disposed' } }
  expect(await all).toMatchObject([disposed, disposed])
  expect(sum(device)).toBe(0)
})
