// Weights and shaders at the same time: what is told, and that the failure or end of either leaves nothing behind.

import { describe, expect, test } from 'vitest'
import { RuntimeFault } from '../../../src/core/errors.ts'
import { untilCancelled } from '../../../src/core/untilCancelled.ts'
import type { CompileOptions, Device } from '../../../src/device/device.ts'
import { createRecordingDevice } from '../../../src/device/recording/recording.ts'
import { planLlm } from '../../../src/engine/load.ts'
import { loadTogether, type LoadTogetherOptions } from '../../../src/engine/loadTogether.ts'
import type { Checkpoint } from '../../../src/weights/checkpoint.ts'
import { minimalCapabilities, tinySpec } from '../models/tinyLlama.ts'
import { checkpointFor } from './memoryCheckpoint.ts'

const plans = planLlm(
  tinySpec,
  { dtype: 'f32', maxSeqLen: 16, maxNumSeqs: 1, numBlocks: 1, head: 'sample' },
  [{ T: 1, S: 1, R: 1 }],
  minimalCapabilities,
)
const nothing = { weights: 0, states: 0, arena: 0, step: 0, readback: 0 }
const fault = new RuntimeFault('device/shader', { where: 'x', expected: '', got: '', fix: '' })

/** A task that the test ends, unless its signal does. */
class Gate {
  readonly opened: Promise<void>
  open!: () => void
  fail!: (error: unknown) => void
  isCancelled = false

  constructor() {
    this.opened = new Promise((resolve, reject) => {
      this.open = resolve
      this.fail = reject
    })
    this.opened.catch(() => undefined)
  }

  async pass(signal: AbortSignal | undefined): Promise<void> {
    try {
      await untilCancelled(this.opened, 'gate', signal)
    } finally {
      this.isCancelled = signal?.aborted === true
    }
  }
}

function set(): {
  device: Device
  checkpoint: Checkpoint
  compiler: Gate
  reader: Gate
  told: (done: number, total: number) => void
  load: (options?: LoadTogetherOptions) => ReturnType<typeof loadTogether>
} {
  const compiler = new Gate()
  const reader = new Gate()
  let told: CompileOptions['onCompiled']
  const device: Device = {
    ...createRecordingDevice(minimalCapabilities),
    compile(_plans, { signal, onCompiled } = {}) {
      told = onCompiled
      return compiler.pass(signal)
    },
  }
  const whole = checkpointFor(tinySpec)
  const checkpoint: Checkpoint = {
    ...whole,
    async read(name, start, count, signal, into) {
      await reader.pass(signal)
      return whole.read(name, start, count, signal, into)
    },
  }
  return {
    device,
    checkpoint,
    compiler,
    reader,
    told: (done, total) => told?.(done, total),
    load: (options = {}) => loadTogether(device, plans, checkpoint, options),
  }
}

const later = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 5))

test('shaders compile while weights come, and are told of once those are there', async () => {
  const { device, compiler, reader, told, load } = set()
  const seen: string[] = []
  const loading = load({
    onProgress: (loaded, total) => loaded === total && !seen.includes('weights') && seen.push('weights'),
    onCompile: (done, total) => seen.push(`${done} of ${total}`),
  })
  told(0, 3)
  told(1, 3)
  await later()
  expect(seen).toEqual([])
  reader.open()
  await later()
  expect(seen).toEqual(['weights', '1 of 3'])
  told(2, 3)
  told(3, 3)
  compiler.open()
  const weights = await loading
  expect(seen).toEqual(['weights', '1 of 3', '2 of 3', '3 of 3'])
  expect(weights.size).toBeGreaterThan(5)
  expect(device.memory().weights).toBeGreaterThan(0)
})

test('what the checkpoint lacks is found before anything is begun', async () => {
  const { device, checkpoint } = set()
  const loading = loadTogether(
    { ...device, compile: () => expect.unreachable() },
    plans,
    { ...checkpoint, tensors: new Map() },
    {},
  )
  await expect(loading).rejects.toMatchObject({ code: 'weights/missing' })
})

describe('on failure the other one is ended, and nothing stays allocated', () => {
  test('of a shader while weights come', async () => {
    const { device, compiler, reader, load } = set()
    const loading = load()
    await later()
    expect(device.memory().weights).toBeGreaterThan(0)
    compiler.fail(fault)
    await expect(loading).rejects.toBe(fault)
    expect(reader.isCancelled).toBe(true)
    expect(device.memory()).toEqual(nothing)
  })

  test('of a shader when the weights are there', async () => {
    const { device, compiler, reader, load } = set()
    const loading = load()
    reader.open()
    await later()
    compiler.fail(fault)
    await expect(loading).rejects.toBe(fault)
    expect(device.memory()).toEqual(nothing)
  })

  test('of the weights while shaders compile', async () => {
    const { device, compiler, reader, load } = set()
    const error = new Error('unplugged')
    const loading = load()
    reader.fail(error)
    await expect(loading).rejects.toBe(error)
    expect(compiler.isCancelled).toBe(true)
    expect(device.memory()).toEqual(nothing)
  })

  test.each(['onProgress', 'onCompile'] as const)('of %s', async (callback) => {
    const { device, compiler, reader, told, load } = set()
    const error = new Error('not drawn')
    const loading = load({
      [callback]: () => {
        throw error
      },
    })
    told(0, 1)
    reader.open()
    await expect(loading).rejects.toBe(error)
    expect(compiler.isCancelled).toBe(true)
    expect(device.memory()).toEqual(nothing)
  })
})

test.each(['at once', 'while both go on', 'when the weights are there', 'when the shaders are there'])(
  'an abort %s ends both, with its reason',
  async (when) => {
    const { device, compiler, reader, load } = set()
    const abort = new AbortController()
    if (when === 'at once') abort.abort('enough')
    const loading = load({ signal: abort.signal })
    loading.catch(() => undefined)
    if (when === 'when the weights are there') reader.open()
    if (when === 'when the shaders are there') compiler.open()
    await later()
    abort.abort('enough')
    await expect(loading).rejects.toMatchObject({ code: 'engine/cancelled', cause: 'enough' })
    expect(device.memory()).toEqual(nothing)
  },
)
