// What benchmarks add up: medians, work, times by kernel, lines for comparison.

import { describe, expect, test } from 'vitest'
import { benchKernels } from '../../../src/bench/kernels.ts'
import { benchLines } from '../../../src/bench/lines.ts'
import { medianRoofs } from '../../../src/bench/roofs.ts'
import { benchLlm, type LlmBench } from '../../../src/bench/llm.ts'
import { meterDevice } from '../../../src/bench/meter.ts'
import { kernelTimes } from '../../../src/engine/kernelTimes.ts'
import { median, samplesOf } from '../../../src/bench/statistics.ts'
import { syntheticSpec, syntheticModel } from '../../../src/bench/synthetic.ts'
import { prefillFlops, weightBytesOf } from '../../../src/bench/work.ts'
import { createRecordingDevice } from '../../../src/device/recording/recording.ts'
import type { DimEnv } from '../../../src/graph/dim.ts'
import type { Device } from '../../../src/device/device.ts'
import { planLlm } from '../../../src/engine/load.ts'
import { wgslKernels } from '../../../src/kernels/index.ts'
import type { Plan } from '../../../src/plan/types.ts'
import { minimalCapabilities } from '../models/tinyLlama.ts'

test.each([
  [[3], 3],
  [[3, 1], 2],
  [[9, 1, 5], 5],
  [[4, 1, 3, 2], 2.5],
])('the median of %j is %d', (values, expected) => {
  expect(median(values)).toBe(expected)
})

test('samples keep their order', () => {
  expect(samplesOf([3, 1, 2])).toEqual({ median: 2, min: 1, max: 3, runs: [3, 1, 2] })
})

describe('work', () => {
  const spec = syntheticSpec('synthetic:llama-15m', 2)
  const options = { dtype: 'f32', maxSeqLen: 32, maxNumSeqs: 1, numBlocks: 2, head: 'sample' } as const
  const [plan] = planLlm(spec, options, [{ T: 1, S: 1, R: 1 }], minimalCapabilities)

  test('counts the weights of a step once, tied embeddings as the head, tables not at all', () => {
    const layer = 4 * 288 * 288 + 3 * 288 * 768 + 2 * 288
    expect(weightBytesOf(plan!)).toBe(4 * (2 * layer + 288 + 32_000 * 288))
  })

  test('counts two operations a product, for one and three tokens', () => {
    const perToken = 2 * (4 * 288 * 288 + 3 * 288 * 768)
    // Scores and sums over one key, then over 1 + 2 + 3.
    expect(prefillFlops(plan!.graph, 1)).toBe(2 * (perToken + 4 * 288) + 2 * 288 * 32_000)
    const three = 2 * (3 * perToken + 6 * 4 * 288) + 2 * 288 * 32_000
    expect(prefillFlops(plan!.graph, 3)).toBe(three)
    // In bands, and before any pass.
    const narrow = { ...minimalCapabilities, maxBindingBytes: 2 ** 22 }
    const [banded] = planLlm(spec, options, [{ T: 1, S: 1, R: 1 }], narrow)
    expect(banded!.graph.ops.length).toBeGreaterThan(plan!.graph.ops.length)
    expect(prefillFlops(banded!.graph, 3)).toBe(three)
    expect(prefillFlops(spec.graph({ ...options, blockSize: 16 }), 3)).toBe(three)
  })
})

test('kernel times add up over layers, bands and steps, longest first', () => {
  const dispatch = (variant: string, origin: string): unknown => ({ op: 'linear', variant, origin })
  const plan = {
    dispatches: [
      dispatch('a', 'layers.0.q[0:64]'),
      dispatch('a', 'layers.11.q[64:96]'),
      dispatch('b', 'head'),
    ],
  } as unknown as Plan
  const step = { plan, dims: { T: 1, S: 1, R: 1 }, cpuMs: 0, nanoseconds: Float64Array.of(1e6, 2e6, 9e6) }
  expect(kernelTimes([step, step], 2)).toEqual([
    { op: 'linear', variant: 'b', origin: 'head', dispatches: 1, ms: 9, share: 0.75 },
    { op: 'linear', variant: 'a', origin: 'layers.*.q[*]', dispatches: 2, ms: 3, share: 0.25 },
  ])
  expect(kernelTimes([{ ...step, nanoseconds: undefined }], 1)).toEqual([])
})

/** A recording device that says each dispatch took a microsecond. */
function timedDevice(): Device {
  const device = createRecordingDevice(minimalCapabilities)
  return {
    ...device,
    profile: async (prepared, step, outputs) => ({
      outputs: await device.run(prepared, step, outputs),
      nanoseconds: new Float64Array(prepared.plan.dispatches.length).fill(1000),
    }),
  }
}

/** A recording device that remembers the sizes of its steps and takes a millisecond for each. */
function steppedDevice(): Device & { readonly steps: DimEnv[] } {
  const device = createRecordingDevice(minimalCapabilities)
  const steps: DimEnv[] = []
  return {
    ...device,
    steps,
    async run(prepared, step, outputs, batch) {
      steps.push(step.dims)
      const results = device.run(prepared, step, outputs, batch)
      await new Promise((resolve) => setTimeout(resolve, 1))
      return results
    },
  }
}

const llmOptions = {
  promptTokens: 20,
  newTokens: 6,
  batch: 2,
  dtype: 'f16',
  runs: 2,
  warmUps: 1,
  maxMemoryBytes: undefined,
} as const

describe('a model benchmark', () => {
  const model = syntheticModel('synthetic:llama-15m', { dtype: 'f16', layers: 2 })

  test('reports every figure, and frees what it took', async () => {
    const device = timedDevice()
    // The machine gets faster from run to run: 10, then 20, then 30.
    let numMeasured = 0
    const bench = await benchLlm(device, model, {
      ...llmOptions,
      measureRoofs: async () => {
        const value = 10 * ++numMeasured
        const roof = { value, best: value, unit: 'GB/s', form: 'made up' } as const
        return { read: roof, copy: roof, fma: roof, dot4: undefined }
      },
    })
    expect(bench).toMatchObject({ numLayers: 2, batch: 2, bytes: { weights: expect.any(Number) } })
    expect(bench.decodeTokensPerSecond.runs).toHaveLength(2)
    expect(bench.cpuMsPerDecodeStep.median).toBeGreaterThan(0)
    const [first, second] = bench.decodeGigabytesPerSecond.runs
    expect(bench.decodeRoofFraction?.runs).toEqual([
      expect.closeTo(first! / 15, 10),
      expect.closeTo(second! / 25, 10),
    ])
    expect(medianRoofs(bench.roofs)).toMatchObject({ read: { value: 20 }, dot4: undefined })
    // Two of two layers at a microsecond each.
    const down = bench.gpuMs?.decode.find(({ origin }) => origin === 'layers.*.mlp.down_proj')
    expect(down).toMatchObject({ op: 'linear', dispatches: 2 })
    expect(down!.ms).toBeCloseTo(0.002)
    expect(device.memory()).toMatchObject({ weights: 0, states: 0, arena: 0 })
  })

  test('prefills a batch in one step if that has room for it', async () => {
    const options = { ...llmOptions, promptTokens: 37, batch: 3 }
    const { gpuMs } = await benchLlm(timedDevice(), model, options)
    expect(gpuMs?.prefill.find(({ origin }) => origin === 'lm_head')?.dispatches).toBe(1)
  })

  test('counts as decoded what comes after the last prompt, not what came before', async () => {
    // Of 4 × 150 prompt tokens a step takes 256: the first sequences decode while the last ones wait.
    const device = steppedDevice()
    const options = { ...llmOptions, promptTokens: 150, newTokens: 6, batch: 4, runs: 1, warmUps: 0 }
    const bench = await benchLlm(device, model, options)
    const { steps } = device
    const afterPrompts = steps.slice(steps.findLastIndex(({ T, S }) => T > S) + 1)
    const decoded = afterPrompts.reduce((sum, { R }) => sum + R, 0)
    expect(decoded).toBeLessThan(4 * 6)
    expect(afterPrompts).toHaveLength(6)
    expect(bench.sequencesPerDecodeStep).toBeCloseTo(decoded / 6)
    const [tokens, gigabytes] = [bench.decodeTokensPerSecond, bench.decodeGigabytesPerSecond]
    // Each step reads the weights once, however many sequences it is for.
    expect(gigabytes.median / bench.weightBytesPerStep).toBeCloseTo(tokens.median / (decoded / 6) / 1e9, 15)
  })

  test('takes a prompt of one token for a prompt', async () => {
    const options = { ...llmOptions, promptTokens: 1, newTokens: 3, batch: 1 }
    const bench = await benchLlm(timedDevice(), model, options)
    expect(bench.cpuMsPerDecodeStep.runs).toHaveLength(2 * 3)
    expect(bench.gpuMs?.prefill.map(({ op }) => op)).toContain('linear')
  })

  test('has no kernel times where the device has no timestamps', async () => {
    const bench = await benchLlm(createRecordingDevice(minimalCapabilities), model, llmOptions)
    expect(bench.gpuMs).toBeUndefined()
    expect(bench.decodeRoofFraction).toBeUndefined()
  })

  test('refuses before it allocates', async () => {
    const device = createRecordingDevice(minimalCapabilities)
    await expect(benchLlm(device, model, { ...llmOptions, maxMemoryBytes: 2 ** 20 })).rejects.toThrow(
      '[engine/memory]',
    )
    expect(device.calls).toEqual([])
  })
})

test('lines are those of the other runtimes', () => {
  const bench = {
    model: 'synthetic:llama-15m',
    adapter: { description: 'llvmpipe: Mesa' },
    dtype: 'f32',
    numLayers: 6,
    promptTokens: 128,
    newTokens: 16,
    batch: 1,
    tokens: [5, 6, 7],
    prefillTokensPerSecond: samplesOf([100, 120, 110]),
    decodeTokensPerSecond: samplesOf([10, 30, 20]),
  } as unknown as LlmBench
  const head = {
    peer: 'tabhopper',
    version: '1',
    adapter: 'lavapipe',
    workload: 'llama-15m-f32-p128g16',
    unit: 'tok/s',
  }
  expect(benchLines(bench, '1')).toEqual([
    { ...head, metric: 'prefill', value: 110, median: 110, runs: [100, 120, 110], tokens: [5, 6, 7] },
    { ...head, metric: 'decode', value: 20, median: 20, runs: [10, 30, 20] },
  ])
  const named = (model: string, batch: number): string =>
    benchLines({ ...bench, model, batch }, '1')[0]!.workload
  expect(named('/models/15m/', 4)).toBe('llama-15m-f32-p128g16b4')
  expect(named('tiny-llama', 1)).toBe('tiny-llama-f32-p128g16')
  expect(named('synthetic:llama-110m', 1)).toBe('llama-110m-l6-f32-p128g16')
})

test('kernels: every kind of op of the model is timed in each variant that supports it, and the others are named', async () => {
  const roof = { value: 1000, best: 1000, unit: 'GB/s', form: 'made up' } as const
  const phases: string[] = []
  const results = await benchKernels(timedDevice(), {
    models: ['synthetic:llama-15m'],
    dtype: 'f16',
    tokens: [1, 16],
    contextTokens: 32,
    family: undefined,
    runs: 1,
    weightBytes: 1,
    maxSeconds: 1e9,
    roofs: { read: roof, copy: roof, fma: roof, dot4: undefined },
    onPhase: (phase) => phases.push(phase),
  })
  expect(phases[0]).toMatch(/^synthetic:llama-15m 1 token: /)
  expect(phases.at(-1)).toMatch(/^synthetic:llama-15m 16 tokens: /)
  const origins = new Set(results.map(({ origin }) => origin))
  expect([...origins]).toEqual(
    expect.arrayContaining(['layers.*.mlp.down_proj', 'layers.*.attn', 'lm_head', 'sample']),
  )
  const linears = results.filter(
    ({ op, origin, tokens }) => op === 'linear' && origin === 'lm_head' && tokens === 1,
  )
  expect(linears.map(({ variant }) => variant)).toEqual(
    wgslKernels.specs.linear!.variants.map(({ name }) => name),
  )
  expect(linears.filter(({ isChosen }) => isChosen)).toHaveLength(1)
  const verdicts = (name: string, tokens: number): unknown[] => {
    const found = results.filter(({ variant, ...result }) => variant === name && result.tokens === tokens)
    return [...new Set(found.map(({ skipped, meantFor }) => skipped ?? meantFor ?? 'ran'))]
  }
  // The device is a CPU without subgroups.
  expect(verdicts('linear_rows', 16)).toEqual(['ran'])
  expect(verdicts('linear_gemv', 1)).toEqual(['gpu'])
  expect(verdicts('linear_gemv_subgroups', 1)).toEqual(['not on this adapter'])
  expect(verdicts('linear_gemv', 16)).toEqual(expect.arrayContaining(['not for this shape or dtype']))
  expect(verdicts('linear_matrix', 1)).toEqual(['not for this shape or dtype'])
  expect(verdicts('linear_matrix', 16)).toEqual(expect.arrayContaining(['not on this adapter']))
  const timed = results.filter(({ skipped }) => skipped === undefined)
  expect(timed.length).toBeGreaterThan(results.length / 4)
  for (const { micros } of timed) expect(micros).toBeGreaterThanOrEqual(1)
  expect(results.filter(({ micros }) => micros === undefined)).toHaveLength(results.length - timed.length)
})

test('kernels: what would take too long or does not fit is named', async () => {
  const roof = { value: 1e-3, best: 1e-3, unit: 'GB/s', form: 'made up' } as const
  const [result] = await benchKernels(timedDevice(), {
    models: ['synthetic:llama-15m'],
    dtype: 'f16',
    tokens: [1],
    contextTokens: 32,
    family: 'linear',
    runs: 1,
    maxSeconds: 1,
    roofs: { read: roof, copy: roof, fma: roof, dot4: undefined },
  })
  expect(result).toMatchObject({ micros: undefined, skipped: expect.stringContaining('would take about') })
})

test('a meter passes results on and profiles only when told and able', async () => {
  const { device, take } = meterDevice(createRecordingDevice(minimalCapabilities))
  expect(device.profile).toBeUndefined()
  expect(take()).toEqual([])
})
