// Memory planned before loading: sums against what devices then hold and against arithmetic by hand, what is shrunk in
// which order, and what is refused.

import { describe, expect, test } from 'vitest'
import { engineOptions, type LoadOptions } from '../../../src/api/model.ts'
import type { EngineOptions } from '../../../src/api/types.ts'
import { syntheticSpec } from '../../../src/bench/synthetic.ts'
import { openDawnDevice } from '../../../src/device/dawn/dawn.ts'
import { createRecordingDevice } from '../../../src/device/recording/recording.ts'
import { LlmEngine } from '../../../src/engine/llm/llmEngine.ts'
import { fitPlans, type FittedPlans } from '../../../src/engine/fit.ts'
import type { MemoryPlan } from '../../../src/engine/memoryPlan.ts'
import type { LlmEngineOptions } from '../../../src/engine/llm/llmEngine.ts'
import { zeroedReads } from '../../helpers/zeroedReads.ts'
import { minimalCapabilities, tinySpec } from '../models/tinyLlama.ts'
import { openEngine } from '../api/models.ts'
import { checkpointFor } from './memoryCheckpoint.ts'

const mib = 2 ** 20
const spec = syntheticSpec('synthetic:llama-15m')

function fit(options: LoadOptions): FittedPlans<LlmEngineOptions> {
  const filled = engineOptions(spec.config, options)
  return fitPlans('toy', spec, filled, minimalCapabilities, filled.budget)
}

const memoryOf = (options: EngineOptions): MemoryPlan => fit(options).memory
/** Sum, which these options need at least. */
const needOf = (options: EngineOptions): number => memoryOf(options).totalBytes

describe('the sum', () => {
  test.each<[string, EngineOptions]>([
    ['f16', { dtype: 'f16' }],
    ['f32', { dtype: 'f32', maxSeqLen: 20, maxNumSeqs: 3, maxNumBatchedTokens: 12 }],
    ['one sequence', { maxNumSeqs: 1, maxNumBatchedTokens: 40 }],
  ])('is what a device holds once tokens have been read back: %s', async (_name, options) => {
    const device = zeroedReads(await openDawnDevice({ backend: 'null' }))
    const filled = engineOptions(tinySpec.config, options)
    const { memory } = fitPlans('tiny', tinySpec, filled, device.capabilities)
    const llm = await LlmEngine.load(device, tinySpec, checkpointFor(tinySpec), filled)
    const params = { promptTokens: [1, 2, 3], maxNewTokens: 6, stopTokenIds: new Set<number>() }
    for await (const _ of llm.generate({ ...params, sampling: { temperature: 0, seed: [0, 0] } })) continue
    const { weights, states, arena, step, readback } = device.memory()
    expect(memory).toEqual({
      weightBytes: weights,
      stateBytes: states,
      arenaBytes: arena,
      stepBytes: step,
      readbackBytes: readback,
      totalBytes: weights + states + arena + step + readback,
    })
    device.dispose()
  })

  test('is that of the parameters, norms in f32, rotary tables and KV cache', () => {
    const { weightBytes, stateBytes } = memoryOf({ dtype: 'f16', maxSeqLen: 512, maxNumSeqs: 4 })
    // 15,191,712 parameters; 13 norms of 288; 512 positions × 48; 6 layers of K and V for 2 × 512 tokens of 288 numbers.
    expect(weightBytes).toBe(15_191_712 * 2 + 13 * 288 * 2 + 512 * 48 * 4)
    // And for each of 4 sequences its newest token and a count of each of 32,000 tokens.
    expect(stateBytes).toBe(6 * 2 * 2 * 512 * 288 * 2 + 4 * 4 + 4 * 32_000 * 4)
  })

  test.each<[EngineOptions, EngineOptions]>([
    [{ dtype: 'f16' }, { dtype: 'f32' }],
    [{ maxSeqLen: 1000 }, { maxSeqLen: 1001 }],
    [{ maxNumSeqs: 2 }, { maxNumSeqs: 3 }],
    [{ maxNumBatchedTokens: 100 }, { maxNumBatchedTokens: 101 }],
  ])('is smaller with %j than with %j', (less, more) => {
    expect(needOf(less)).toBeLessThan(needOf(more))
  })
})

describe('a budget', () => {
  const asked = { maxNumSeqs: 4, dtype: 'f16' } as const
  // The model's 2,048 tokens, for half of the sequences.
  const whole = needOf(asked)
  const oneSequence = needOf({ ...asked, maxNumSeqs: 2 })

  test('that suffices changes nothing, to the byte', () => {
    expect(fit({ ...asked, maxMemory: whole }).shrunk).toEqual([])
    expect(fit({ ...asked, maxMemory: whole - 1 }).shrunk).not.toEqual([])
  })

  test('takes KV blocks first, and no more than it must', () => {
    const block = 6 * 2 * 16 * 288 * 2
    const { options, memory, shrunk } = fit({ ...asked, maxMemory: whole - 3 * block + 1 })
    expect(shrunk).toEqual([{ option: 'numBlocks', asked: 256, used: 253, limit: 'maxMemory' }])
    expect(options.numBlocks).toBe(253)
    expect(whole - memory.totalBytes).toBe(3 * block)
  })

  test('keeps the blocks of one whole sequence and then shortens sequences', () => {
    const { options, shrunk } = fit({ ...asked, maxMemory: oneSequence - 4 * mib })
    expect(shrunk.map(({ option }) => option)).toEqual(['numBlocks', 'maxSeqLen'])
    expect(options.maxSeqLen).toBe(1024)
    expect(options.numBlocks).toBeGreaterThanOrEqual(64)
  })

  test('then takes tokens from a step, at 512 tokens of context', () => {
    const oneOf512 = needOf({ ...asked, maxSeqLen: 512 }) - 512 * 6 * 2 * 288 * 2
    const { options, memory } = fit({ ...asked, maxMemory: oneOf512 - 1 })
    expect(options).toMatchObject({ maxSeqLen: 512, maxNumBatchedTokens: 128 })
    expect(memory.totalBytes).toBeLessThan(oneOf512)
  })

  test.each([45, 50, 60, 70, 90])('of %i MiB is kept', (maxMemory) => {
    expect(needOf({ ...asked, maxMemory: maxMemory * mib })).toBeLessThanOrEqual(maxMemory * mib)
  })

  test('leaves alone what the caller asked for', () => {
    const explicit = { ...asked, maxSeqLen: 2048, maxNumBatchedTokens: 64, maxMemory: 43 * mib }
    expect(() => fit(explicit)).toThrow('with maxSeqLen 2048, maxNumSeqs 4')
    expect(fit({ ...explicit, maxMemory: 60 * mib }).options).toMatchObject({
      maxSeqLen: 2048,
      maxNumBatchedTokens: 64,
    })
  })

  test('that the least exceeds is refused with the sum by owner', () => {
    expect(() => fit({ ...asked, dtype: 'f32', maxMemory: 40 * mib })).toThrowErrorMatchingInlineSnapshot(
      `[RuntimeFault: [engine/memory] toy: expected at most 40.00 MiB, got 58.05 MiB of weights in f32 + 7.24 MiB of KV cache for 512 tokens + 1.02 MiB of arena for 32 tokens a step + 0.02 MiB of step buffers = 66.32 MiB with maxSeqLen 512, maxNumSeqs 4. Raise maxMemory to that, ask for less of these, or use f16.]`,
    )
  })

  test('that is of the free memory says so', () => {
    const options = { ...asked, dtype: 'f32', freeMemory: 40 * mib } as const
    expect(() => fit(options)).toThrow(
      /at most 40\.00 MiB, 80 % of the free memory, got .* Free some of it or set maxMemory to that, ask for/,
    )
    expect(fit({ ...options, freeMemory: 67 * mib }).shrunk[0]).toMatchObject({ limit: 'freeMemory' })
    expect(() => fit({ ...options, maxMemory: 1000 })).toThrow(/expected at most 1000 bytes, got/)
  })

  test('that is no number of bytes is an engine/input fault', () => {
    expect(() => fit({ maxMemory: 0.5 })).toThrow(
      '[engine/input] maxMemory: expected a whole number of bytes from 1 to',
    )
  })
})

describe('what one binding cannot hold', () => {
  test('is not a matter of the budget, unless that is exceeded too', () => {
    const wide = { dtype: 'f32', maxNumBatchedTokens: 65_535 } as const
    expect(() => fit({ ...wide, maxMemory: 2 ** 40 })).toThrow('[plan/limit]')
    expect(() => fit({ ...wide, maxMemory: mib })).toThrow('[engine/memory]')
  })

  test('of the KV cache is left out, whatever the budget', () => {
    const options = { ...engineOptions(spec.config, {}), numBlocks: 20_000 }
    const { shrunk, memory } = fitPlans('toy', spec, options, minimalCapabilities)
    expect(shrunk).toMatchObject([{ option: 'numBlocks', asked: 20_000, limit: 'binding' }])
    const budget = { bytes: 2 ** 40, limit: 'maxMemory', open: ['numBlocks'] } as const
    const roomy = fitPlans('toy', spec, options, minimalCapabilities, budget)
    expect(roomy.shrunk).toEqual(shrunk)
    expect(memory.stateBytes / 12).toBeLessThan(2 ** 27 + 2 ** 20)
  })
})

describe('loading', () => {
  test('refuses before a weight is read or a byte allocated', async () => {
    const device = createRecordingDevice(minimalCapabilities)
    const checkpoint = checkpointFor(tinySpec)
    const options = engineOptions(tinySpec.config, { maxMemory: 1000 })
    await expect(LlmEngine.load(device, tinySpec, checkpoint, options)).rejects.toThrow('[engine/memory]')
    expect(checkpoint.reads).toEqual([])
    expect(device.calls).toEqual([])
  })

  test('tells what it shrank, and the engine runs with it', async () => {
    const free = await openEngine({ options: { maxNumSeqs: 8 } })
    const total = Object.values(free.memory()).reduce((sum, bytes) => sum + bytes, 0)
    await free.dispose()
    await using engine = await openEngine({ options: { maxNumSeqs: 8, maxMemory: total - 10_000 } })
    expect(free.shrunk).toEqual([])
    expect(engine.shrunk).toEqual([
      { option: 'kvCacheTokens', asked: 256, used: expect.any(Number) as number, limit: 'maxMemory' },
    ])
  })
})
