// Whose errors are whose on a GPUDevice, and read-backs for which there is no memory, on Dawn's null backend, which
// validates everything and runs nothing.

import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openDawnGpu } from '../../../src/device/dawn/dawn.ts'
import type { AdapterInfo, Device, PreparedPlan, StepOutput } from '../../../src/device/device.ts'
import { createWebGpuDevice } from '../../../src/device/webgpu/webgpu.ts'
import { loadWeights } from '../../../src/engine/loadWeights.ts'
import { GraphBuilder } from '../../../src/graph/builder.ts'
import { symbol } from '../../../src/graph/dim.ts'
import { wgslKernels } from '../../../src/kernels/index.ts'
import { makePlan } from '../../../src/plan/plan.ts'
import { StepWriter, type Step } from '../../../src/plan/stepLayout.ts'
import { noCheckpoint } from '../../helpers/runGraph.ts'
import { tableOf } from '../../helpers/tableOf.ts'

let gpu: GPUDevice
let info: AdapterInfo
/** Messages of errors that nobody's scope held. */
let uncaptured: string[]

beforeAll(async () => {
  ;({ gpu, info } = await openDawnGpu({ backend: 'null' }))
  gpu.addEventListener('uncapturederror', (event) => {
    uncaptured.push(event.error.message)
    event.preventDefault()
  })
})
afterAll(() => gpu.destroy())

interface Lookup {
  readonly prepared: PreparedPlan
  readonly step: Step
  /** Frees a buffer that the plan reads, which makes its next step invalid. */
  readonly spoil: () => void
}

/** Rows of a table, `width` numbers each: eight of them are read back. */
async function lookup(device: Device, width: number): Promise<Lookup> {
  uncaptured = []
  const b = new GraphBuilder('lookup')
  const ids = b.input('ids', 'i32', [symbol('T')])
  const table = b.weight(
    tableOf('t', [3, width], () => new Float32Array(3 * width)),
    'f32',
  )
  b.output('y', b.apply('embedding', 'x', { table, ids }, { dtype: 'f32' }))
  const dims = { T: 8, S: 1, R: 1 }
  const { capabilities } = device
  const plan = makePlan(b.finish(), { kernels: wgslKernels, capabilities, maxima: dims })
  const weights = await loadWeights(device, [plan], noCheckpoint)
  const sizes = plan.buffers.filter(({ role }) => role === 'arena').map(({ bytes }) => bytes)
  const arena = await Promise.all(sizes.map((bytes, slot) => device.alloc(bytes, 'arena', `arena${slot}`)))
  const prepared = await device.prepare(plan, { weights, states: new Map(), arena })
  const step = new StepWriter(plan.step, dims).write(dims, { ids: [0, 1, 2, 0, 1, 2, 0, 1] })
  return { prepared, step, spoil: () => arena[0]!.destroy() }
}

function run(
  device: Device,
  { prepared, step }: Lookup,
  batch?: Parameters<Device['run']>[3],
): Promise<Readonly<Record<string, StepOutput>>> {
  return device.run(prepared, step, ['y'], batch)
}

/** An invalid call, as a page may make one. */
function blunder(): void {
  gpu.createBuffer({ label: 'blunder', size: 16, usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.STORAGE })
}

const settled = (): Promise<unknown> => gpu.queue.onSubmittedWorkDone()

describe('on a borrowed device', () => {
  test("an error of the owner's is the owner's", async () => {
    const device = createWebGpuDevice(gpu, info, { isBorrowed: true })
    const plan = await lookup(device, 4)
    blunder()
    await settled()
    expect(uncaptured).toEqual([expect.stringContaining('blunder')])
    await expect(run(device, plan)).resolves.toMatchObject({ y: { shape: [8, 4] } })
    // Also between the call and its result.
    const running = run(device, plan)
    blunder()
    await expect(running).resolves.toBeDefined()
    await expect(run(device, plan)).resolves.toBeDefined()
    device.dispose()
  })

  test('an error of ours is ours, and fails what follows', async () => {
    const device = createWebGpuDevice(gpu, info, { isBorrowed: true })
    const plan = await lookup(device, 4)
    plan.spoil()
    await expect(run(device, plan)).rejects.toThrow('[device/validation]')
    await expect(run(device, plan)).rejects.toThrow('[device/validation]')
    await settled()
    expect(uncaptured).toEqual([])
    device.dispose()
  })

  test('a step without outputs tells of its error as well', async () => {
    const device = createWebGpuDevice(gpu, info, { isBorrowed: true })
    const plan = await lookup(device, 4)
    plan.spoil()
    await expect(device.run(plan.prepared, plan.step, [])).rejects.toThrow('[device/validation]')
    device.dispose()
  })
})

test('on a device of our own any error is ours', async () => {
  const own = await openDawnGpu({ backend: 'null' })
  const device = createWebGpuDevice(own.gpu, own.info)
  const plan = await lookup(device, 4)
  own.gpu.createBuffer({ size: 16, usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.STORAGE })
  await own.gpu.queue.onSubmittedWorkDone()
  await expect(run(device, plan)).rejects.toThrow('[device/validation]')
  device.dispose()
})

describe('read-back', () => {
  /** While `work` runs, no read-back buffer finds memory. */
  async function withoutMemory(work: () => Promise<void>): Promise<void> {
    const createBuffer = gpu.createBuffer.bind(gpu)
    gpu.createBuffer = (descriptor) =>
      createBuffer(
        (descriptor.usage & GPUBufferUsage.MAP_READ) === 0 ? descriptor : { ...descriptor, size: 2 ** 46 },
      )
    try {
      await work()
    } finally {
      gpu.createBuffer = createBuffer
    }
  }

  test('without memory is a device/memory fault, after which the device works on', async () => {
    const device = createWebGpuDevice(gpu, info)
    const plan = await lookup(device, 4)
    await withoutMemory(async () => {
      await expect(run(device, plan)).rejects.toThrow('[device/memory] readback 256')
      await expect(run(device, plan)).rejects.toThrow('[device/memory]')
    })
    expect(device.memory().readback).toBe(0)
    await expect(run(device, plan)).resolves.toMatchObject({ y: { shape: [8, 4] } })
    await settled()
    expect(uncaptured).toEqual([])
  })

  test('of several steps without memory is one for each of them', async () => {
    const device = createWebGpuDevice(gpu, info)
    const plan = await lookup(device, 4)
    await withoutMemory(async () => {
      const batch = device.batchReads(2)
      const results = [run(device, plan, batch), run(device, plan, batch)]
      batch.finish()
      const fault = { status: 'rejected', reason: { code: 'device/memory' } }
      expect(await Promise.allSettled(results)).toMatchObject([fault, fault])
    })
    await expect(run(device, plan)).resolves.toBeDefined()
    await settled()
    expect(uncaptured).toEqual([])
  })

  test('keeps a buffer of the size of tokens, and none of the size of logits', async () => {
    const device = createWebGpuDevice(gpu, info)
    const small = await lookup(device, 2048)
    await run(device, small)
    expect(device.memory().readback).toBe(8 * 2048 * 4)
    const large = await lookup(device, 2052)
    const running = run(device, large)
    // Exactly, not the next power of two.
    expect(device.memory().readback).toBe(8 * (2048 + 2052) * 4)
    await running
    expect(device.memory().readback).toBe(8 * 2048 * 4)
  })
})
