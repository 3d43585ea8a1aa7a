// Benchmarks on a real adapter: profiled steps compute what others compute, roofs are sane, the built command reports.

import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { measureRoofs, type Roofs } from '../../src/bench/roofs.ts'
import { meterDevice } from '../../src/bench/meter.ts'
import { benchLlm, type LlmBench } from '../../src/bench/llm.ts'
import { syntheticModel } from '../../src/bench/synthetic.ts'
import { openDawnGpu } from '../../src/device/dawn/dawn.ts'
import type { AdapterInfo, Device } from '../../src/device/device.ts'
import { createWebGpuDevice } from '../../src/device/webgpu/webgpu.ts'
import { runGraph } from '../helpers/runGraph.ts'
import { linearCase } from '../helpers/opCases.ts'

let gpu: GPUDevice
let info: AdapterInfo
let device: Device

beforeAll(async () => {
  ;({ gpu, info } = await openDawnGpu())
  device = createWebGpuDevice(gpu, info)
})
afterAll(() => device.dispose())

describe('a profiled step', () => {
  it('gives the results of an ordinary one, and times where the adapter has timestamps', async () => {
    expect(device.profile !== undefined).toBe(info.features.includes('timestamp-query'))
    const { graph, dims, maxima, values } = linearCase(5, 64, 68, 'f32')
    const plain = await runGraph(device, graph, { dims, maxima, values })
    const meter = meterDevice(device)
    meter.isProfiling = true
    const profiled = await runGraph(meter.device, graph, { dims, maxima, values })
    expect([...profiled['y']!.data]).toEqual([...plain['y']!.data])
    const [step] = meter.take()
    if (device.profile === undefined) return
    expect(step!.nanoseconds).toHaveLength(step!.plan.dispatches.length)
    for (const time of step!.nanoseconds!) {
      expect(time).toBeGreaterThan(0)
      // A second would be an error of the unit.
      expect(time).toBeLessThan(1e9)
    }
  })
})

describe('the roofs and a model below them', () => {
  let roofs: Roofs
  let bench: LlmBench

  beforeAll(async () => {
    roofs = await measureRoofs(gpu, { isSoftware: info.isSoftware, bytes: 2 ** 26, repeats: 3 })
    const model = syntheticModel('synthetic:llama-15m', { dtype: 'f32', layers: 1 })
    bench = await benchLlm(device, model, {
      promptTokens: 32,
      newTokens: 4,
      batch: 1,
      dtype: 'f32',
      runs: 3,
      warmUps: 1,
      maxMemoryBytes: 2 ** 30,
      measureRoofs: async () => roofs,
    })
  })

  it('are what some machine could have', () => {
    for (const roof of [
      roofs.read,
      roofs.copy,
      roofs.fma,
      ...(roofs.dot4 === undefined ? [] : [roofs.dot4]),
    ]) {
      // Slower than any adapter that computes, and faster than any that exists.
      expect(roof.value).toBeGreaterThan(0.01)
      expect(roof.value).toBeLessThan(1e6)
      expect(roof.best).toBeGreaterThanOrEqual(roof.value)
    }
  })

  it('and the weights and kernels of a step are counted', () => {
    expect(bench.decodeTokensPerSecond.min).toBeGreaterThan(0)
    // One layer of 15m with its tied head, in f32, without the tables.
    expect(bench.weightBytesPerStep).toBe(4 * (4 * 288 * 288 + 3 * 288 * 768 + 3 * 288 + 32_000 * 288))
    if (bench.gpuMs === undefined) return
    const total = bench.gpuMs.decode.reduce((sum, { ms }) => sum + ms, 0)
    expect(total).toBeGreaterThan(0)
    expect(bench.gpuMs.decode.map(({ op }) => op)).toContain('linear')
    expect(bench.gpuMs.decode.reduce((sum, { share }) => sum + share, 0)).toBeCloseTo(1)
  })
})

const script = fileURLToPath(new URL('../../dist/cli.js', import.meta.url))
const isBuilt = existsSync(script)
const unless = isBuilt ? '' : ' (skipped: no dist/cli.js; run npm run build)'

describe.skipIf(!isBuilt)(`the built command${unless}`, () => {
  it('prints one JSON document', () => {
    const flags = [
      '--model',
      'synthetic:llama-15m',
      '--layers',
      '1',
      '--prompt-tokens',
      '8',
      '--new-tokens',
      '2',
      '--no-roofs',
    ]
    const result = spawnSync(process.execPath, [script, 'bench', 'llm', ...flags, '--json'], {
      encoding: 'utf8',
      timeout: 240_000,
    })
    expect(result).toMatchObject({ status: 0 })
    expect(JSON.parse(result.stdout)).toMatchObject({
      model: 'synthetic:llama-15m',
      adapter: { description: expect.stringMatching(/./) },
      decodeTokensPerSecond: { median: expect.any(Number) },
    })
  })
})
