// The engine from inside: what was compiled agrees with what the device holds, blocks of the KV cache with the requests
// that run, times with the device's clock; all of it the same through a worker.

import { afterEach, describe, expect, test } from 'vitest'
import type { Engine, EngineOptions } from '../../../src/api/types.ts'
import type { Device } from '../../../src/device/device.ts'
import { createReferenceDevice } from '../../../src/device/reference/reference.ts'
import { createNullEngine } from '../../helpers/nullEngine.ts'
import { pair } from '../worker/pairs.ts'
import { collect, openEngine, prompt } from './models.ts'

/** A device whose dispatch `i` takes `i + 1` microseconds. */
function clockedDevice(): Device {
  const device = createReferenceDevice()
  return {
    ...device,
    profile: async (prepared, step, outputs) => ({
      outputs: await device.run(prepared, step, outputs),
      nanoseconds: Float64Array.from(prepared.plan.dispatches, (_, index) => (index + 1) * 1000),
    }),
  }
}

/** A device that runs a step when it is let, or all once it is opened. */
function gatedDevice(): { readonly device: Device; readonly letOne: () => void; readonly open: () => void } {
  const device = createReferenceDevice()
  const waiting: (() => void)[] = []
  let isOpen = false
  return {
    letOne: () => waiting.shift()?.(),
    open() {
      isOpen = true
      for (const go of waiting) go()
    },
    device: {
      ...device,
      async run(...args) {
        if (!isOpen) await new Promise<void>((resolve) => waiting.push(resolve))
        return device.run(...args)
      },
    },
  }
}

interface Place {
  readonly name: string
  readonly open: (device: Device, options?: EngineOptions) => Promise<Engine>
}

let closeTabs = (): void => undefined
afterEach(() => closeTabs())

const places: readonly Place[] = [
  { name: 'in the thread', open: (device, options = {}) => openEngine({ device, options }) },
  {
    name: 'through a worker',
    open: (device, options = {}) => {
      const link = pair({}, (_, options) => openEngine({ device, options }))
      closeTabs = link.closeTabs
      return link.connect('gqa', { dtype: 'f32', maxSeqLen: 64, ...options })
    },
  },
]

describe.each(places)('an engine $name', ({ open }) => {
  test('tells what was compiled, and its buffers sum up to its memory', async () => {
    await using engine = await open(createReferenceDevice())
    const { graph, plans, shaders, buffers } = await engine.inspect.model()
    expect(plans.map(({ maxima }) => maxima.T)).toEqual([1, 3, 32])
    const kinds = graph.ops.map(({ kind }) => kind)
    expect(kinds.filter((kind) => kind === 'attention')).toHaveLength(2)
    expect(graph.ops.map(({ origin }) => origin)).toContain('layers.1.mlp.down_proj')
    for (const { dispatches, valueBytes } of plans) {
      expect(valueBytes).toHaveLength(graph.values.length)
      for (const { op, opIndex, origin, shader } of dispatches) {
        expect(graph.ops[opIndex]).toMatchObject({ kind: op, origin })
        expect(shaders[shader]).toContain('@compute')
      }
    }
    const memory = engine.memory()
    for (const owner of ['weights', 'states', 'arena'] as const) {
      const own = buffers.filter((buffer) => buffer.owner === owner)
      expect(own.reduce((sum, { bytes }) => sum + bytes, 0)).toBe(memory[owner])
    }
  })

  test('tells who holds which blocks while requests run, and that all are free after them', async () => {
    const gate = gatedDevice()
    await using engine = await open(gate.device)
    const before = await engine.inspect.kvCache()
    expect(before).toMatchObject({ blockSize: 16, numBlocks: 8, numFree: 8, sequences: [] })
    const requests = [20, 7].map((length) =>
      engine.completions.create({
        prompt: Array.from({ length }, (_, index) => prompt[index % prompt.length]!),
        max_tokens: 30,
        temperature: 0,
        stream: true,
      }),
    )
    const streams = requests.map((request) => request[Symbol.asyncIterator]())
    const firsts = streams.map((stream) => stream.next())
    let state = await engine.inspect.kvCache()
    while (state.sequences.filter(({ status }) => status === 'running').length < 2) {
      gate.letOne()
      await new Promise((resolve) => setTimeout(resolve, 1))
      state = await engine.inspect.kvCache()
    }
    const { sequences, numFree } = state
    expect(new Set(sequences.map(({ promptTokens }) => promptTokens))).toEqual(new Set([20, 7]))
    expect(new Set(sequences.map(({ id }) => id)).size).toBe(2)
    const held = sequences.flatMap(({ blocks }) => blocks)
    expect(new Set(held).size).toBe(held.length)
    expect(numFree).toBe(8 - held.length)
    for (const { status, cachedTokens, promptTokens, blocks } of sequences) {
      expect(status).toBe('running')
      expect(cachedTokens).toBeGreaterThanOrEqual(promptTokens)
      expect(blocks).toHaveLength(Math.ceil(cachedTokens / 16))
    }
    gate.open()
    await Promise.all(firsts)
    for (const stream of streams) await stream.return?.()
    await expect.poll(async () => (await engine.inspect.kvCache()).numFree).toBe(8)
  })

  test('times its kernels by plan, kind of step and place', async () => {
    await using engine = await open(clockedDevice(), { maxNumBatchedTokens: 32 })
    const profile = await engine.inspect.profile({ promptTokens: 10, newTokens: 4 })
    const { plans } = await engine.inspect.model()
    expect(profile).toMatchObject([
      { kind: 'decode', plan: 0, steps: 4, tokens: 1 },
      { kind: 'prefill', plan: 2, steps: 1, tokens: 10 },
    ])
    for (const { plan, dispatchMs, ms, kernels } of profile) {
      const count = plans[plan]!.dispatches.length
      expect(dispatchMs).toHaveLength(count)
      expect(dispatchMs[4]).toBeCloseTo(0.005)
      expect(ms).toBeCloseTo((count * (count + 1)) / 2 / 1000)
      expect(kernels.reduce((sum, kernel) => sum + kernel.ms, 0)).toBeCloseTo(ms)
      expect(kernels.reduce((sum, { dispatches }) => sum + dispatches, 0)).toBe(count)
    }
    // Nothing is timed once it is over.
    await collect(engine.completions.create({ prompt, max_tokens: 2, stream: true }))
    expect(await engine.inspect.profile({ promptTokens: 10, newTokens: 4 })).toMatchObject([
      { steps: 4 },
      { steps: 1 },
    ])
  })

  test('takes a prompt of one token for a prompt', async () => {
    await using engine = await open(clockedDevice(), { maxNumBatchedTokens: 32 })
    expect(await engine.inspect.profile({ promptTokens: 1, newTokens: 4 })).toMatchObject([
      { kind: 'prefill', plan: 0, steps: 1, tokens: 1 },
      { kind: 'decode', plan: 0, steps: 4, tokens: 1 },
    ])
  })

  test('says why it cannot', async () => {
    await using engine = await open(createReferenceDevice())
    await expect(engine.inspect.profile()).rejects.toMatchObject({ code: 'device/feature' })
    await engine.dispose()
    for (const asked of [engine.inspect.model(), engine.inspect.kvCache(), engine.inspect.profile()])
      await expect(asked).rejects.toMatchObject({ code: 'engine/disposed' })
    await using timed = await open(clockedDevice())
    await expect(timed.inspect.profile({ newTokens: 64 })).rejects.toMatchObject({ code: 'engine/input' })
    const signal = AbortSignal.abort()
    await expect(timed.inspect.profile({ signal })).rejects.toMatchObject({ name: 'AbortError' })
  })
})

test('every tab sees the one engine that they share', async () => {
  const { connect, openTab, engines, closeTabs: close } = pair({ beforeToken: () => undefined })
  closeTabs = close
  const [first, second] = await Promise.all([connect('a'), openTab().connect('a')])
  expect(engines).toHaveLength(1)
  const { inspect } = createNullEngine()
  expect(await first.inspect.model()).toEqual(await inspect.model())
  expect(await second.inspect.kvCache()).toEqual(await inspect.kvCache())
})
