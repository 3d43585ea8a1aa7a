// What a step costs, on the device that writes down what it is asked: one run, one small upload, nothing created.

import { describe, expect, test } from 'vitest'
import { createRecordingDevice, type RecordingDevice } from '../../../src/device/recording/recording.ts'
import type { PreparedPlan } from '../../../src/device/device.ts'
import { wgslKernels } from '../../../src/kernels/index.ts'
import { inferencePasses, runPasses } from '../../../src/passes/index.ts'
import { makePlan } from '../../../src/plan/plan.ts'
import { StepWriter, type StepValues } from '../../../src/plan/stepLayout.ts'
import { minimalCapabilities, tinyLlama } from '../models/tinyLlama.ts'

const numSeqs = 8
const maxSeqLen = 4096
const blockSize = 16
const maxBlocks = maxSeqLen / blockSize
const maxima = { T: numSeqs, S: numSeqs, R: numSeqs }
// As many layers, heads and block table entries as a 7B model; widths do not matter to what a step uploads.
const config = { numLayers: 32, numHeads: 32, numKvHeads: 32, hiddenSize: 128, maxSeqLen }
const options = { head: 'sample', maxSeqLen, blockSize, numBlocks: 64, maxNumSeqs: numSeqs } as const
const graph = runPasses(tinyLlama(config, options), inferencePasses)

async function prepared(): Promise<{ device: RecordingDevice; plan: PreparedPlan; writer: StepWriter }> {
  const device = createRecordingDevice(minimalCapabilities)
  const plan = makePlan(graph, { kernels: wgslKernels, capabilities: device.capabilities, maxima })
  const resources = { weights: new Map(), states: new Map(), arena: [] }
  return { device, plan: await device.prepare(plan, resources), writer: new StepWriter(plan.step, maxima) }
}

/** Values of a step in which `n` sequences decode one token each, from the row that each sampled before. */
function decodeValues(n: number): StepValues {
  const rows = Array.from({ length: n }, (_, row) => row)
  const zeros = rows.map(() => 0)
  return {
    tokenSource: rows.flatMap((row) => [1, row]),
    positions: rows.map(() => 99),
    slotMapping: rows.map((row) => row * blockSize + 3),
    cuSeqlensQ: [...rows, n],
    contextLens: rows.map(() => 100),
    blockTables: Array.from({ length: n * maxBlocks }, () => 0),
    logitsRows: rows,
    temperature: zeros,
    seed: rows.flatMap(() => [0, 0]),
    tokenIndex: zeros,
    sampleTargets: rows,
    countTargets: rows.flatMap(() => [0, 0, 0]),
    controls: rows.flatMap(() => [0, 1, 0, 1, 0, 0, 0]),
    biasIds: new Int32Array(n * 64),
    biasValues: new Float32Array(n * 64),
  }
}

/** Bytes that each run among the calls uploaded. */
function uploadedBytes(calls: RecordingDevice['calls']): number[] {
  return calls.flatMap((call) => (call.kind === 'run' ? [call.uploadedBytes] : []))
}

describe('a decode step', () => {
  test('is one run with one upload below 16 KiB, and creates nothing', async () => {
    const { device, plan, writer } = await prepared()
    const before = device.calls.length
    await device.run(plan, writer.write(maxima, decodeValues(numSeqs)), ['sampled'])
    const calls = device.calls.slice(before)
    expect(calls).toEqual([
      {
        kind: 'run',
        dispatches: plan.plan.dispatches.length,
        uploadedBytes: expect.any(Number) as number,
        outputs: ['sampled'],
      },
    ])
    const [uploaded] = uploadedBytes(calls)
    expect(uploaded).toBeLessThan(16 * 1024)
    // More than its block tables, which are most of it.
    expect(uploaded).toBeGreaterThan(numSeqs * maxBlocks * 4)
  })

  test('costs the same every time, and with fewer sequences no more', async () => {
    const { device, plan, writer } = await prepared()
    const before = device.calls.length
    for (const n of [1, numSeqs, numSeqs, numSeqs]) {
      const dims = { T: n, S: n, R: n }
      await device.run(plan, writer.write(dims, decodeValues(n)), [])
    }
    const uploaded = uploadedBytes(device.calls.slice(before))
    expect(uploaded).toHaveLength(device.calls.length - before)
    expect(uploaded[0]).toBeLessThan(uploaded[1]!)
    expect(new Set(uploaded.slice(1)).size).toBe(1)
    expect(device.memory()).toEqual({ weights: 0, states: 0, arena: 0, step: 0, readback: 0 })
  })

  test('takes nine dispatches a layer, attention in two of them, and eight around them', async () => {
    const { plan } = await prepared()
    expect(plan.plan.dispatches).toHaveLength(32 * 9 + 8)
  })
})

describe('the recording device', () => {
  test('writes down allocations, uploads and preparation, and counts bytes by owner', async () => {
    const device = createRecordingDevice(minimalCapabilities)
    const buffer = await device.alloc(64, 'weights', 'w')
    await device.upload(buffer, 16, new Uint8Array(32))
    expect(device.memory().weights).toBe(64)
    buffer.destroy()
    expect(device.memory().weights).toBe(0)
    expect(device.calls).toEqual([
      { kind: 'alloc', owner: 'weights', label: 'w', bytes: 64 },
      { kind: 'upload', label: 'w', offset: 16, bytes: 32 },
    ])
  })

  test('answers with zeros of the right shape and type', async () => {
    const { device, plan, writer } = await prepared()
    const step = writer.write({ T: 2, S: 2, R: 2 }, decodeValues(2))
    const { sampled } = await device.run(plan, step, ['sampled'])
    expect(sampled).toEqual({ shape: [numSeqs], data: new Int32Array(numSeqs) })
  })

  test('is lost once it is disposed of', async () => {
    const device = createRecordingDevice(minimalCapabilities)
    device.dispose()
    expect(await device.lost).toMatchObject({ reason: 'destroyed' })
  })
})
