// A device that is lost at any moment: requests go on as if nothing had happened, once, on a new device. Tokens are those
// of an undisturbed engine, on the f64 reference device; what is lost and when is up to the test.

import { afterEach, describe, expect, test, vi } from 'vitest'
import { createEngineOn, openModelStore, type LoadedModel, type Reopen } from '../../../src/api/model.ts'
import type { CompletionRequest, Engine, EngineEvent, EngineOptions } from '../../../src/api/types.ts'
import type { Device } from '../../../src/device/device.ts'
import { createReferenceDevice } from '../../../src/device/reference/reference.ts'
import { directoryStore } from '../../../src/node/directoryStore.ts'
import { fixturesDir } from '../../helpers/dirs.ts'
import { losableDevice, type LosableDevice, type LosableOptions } from '../../helpers/losableDevice.ts'
import { collect, greedy, openEngine, prompt } from './models.ts'

const wait = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))
const noMemory = { weights: 0, states: 0, arena: 0, step: 0, readback: 0 }

interface Disturbed {
  readonly engine: Engine
  /** In the order in which they were made. */
  readonly devices: readonly LosableDevice[]
  readonly events: readonly EngineEvent[]
}

/** An engine whose n-th device is made with `losses[n]`, and later ones to last. */
async function open(
  losses: readonly LosableOptions[],
  options: EngineOptions = {},
  beforeDevice: (signal: AbortSignal) => unknown = () => undefined,
): Promise<Disturbed> {
  const devices: LosableDevice[] = []
  const events: EngineEvent[] = []
  const make = (): Device => {
    const device = losableDevice(createReferenceDevice(), losses[devices.length])
    devices.push(device)
    return device
  }
  const engine = await openEngine({
    device: make(),
    options: { onEvent: (event) => events.push(event), ...options },
    nextDevice: async (signal) => {
      await beforeDevice(signal)
      return make()
    },
  })
  return { engine, devices, events }
}

const loseAt = (call: 'alloc' | 'upload' | 'prepare' | 'run', count: number): LosableOptions => ({
  loseAt: { call, count },
})

/** Greedy; seeded with every penalty; a prompt of several chunks; and one that waits for a row. */
const requests: readonly CompletionRequest[] = [
  { prompt, max_tokens: 16, temperature: 0 },
  { prompt, max_tokens: 12, temperature: 1, seed: 5, repetition_penalty: 1.3, frequency_penalty: 0.5 },
  { prompt: Array.from({ length: 20 }, (_, i) => (i * 7) % 96), max_tokens: 6, temperature: 0 },
  { prompt: prompt.slice(2), max_tokens: 5, temperature: 0.9, seed: 2, top_k: 20 },
]
const narrow: EngineOptions = { maxNumSeqs: 3, maxNumBatchedTokens: 8 }

/** Tokens of all requests at once, as they come. */
async function answers(engine: Engine): Promise<number[][]> {
  const streams = requests.map((request) => engine.completions.create({ ...request, stream: true }))
  const all = await Promise.all(streams.map(collect))
  return all.map((chunks) => chunks.flatMap(({ choices }) => choices.flatMap(({ tokens }) => tokens)))
}

let calm: Promise<number[][]> | undefined
/** What an engine that loses nothing answers. */
const undisturbed = (): Promise<number[][]> =>
  (calm ??= openEngine({ options: narrow }).then(async (engine) => {
    const tokens = await answers(engine)
    await engine.dispose()
    return tokens
  }))

async function greedyTokens(engine: Engine, signal?: AbortSignal): Promise<number[]> {
  const request = { prompt, max_tokens: 16, temperature: 0, ...(signal && { signal }) }
  const { choices } = await engine.completions.create(request)
  return choices[0]!.tokens
}

describe('a loss', () => {
  test.each(Array.from({ length: 17 }, (_, i) => i + 1))(
    'at step %i changes no token and is told once',
    async (step) => {
      const { engine, devices, events } = await open([loseAt('run', step)], narrow)
      expect(await answers(engine)).toEqual(await undisturbed())
      expect(devices).toHaveLength(2)
      expect(events).toMatchObject([{ losses: [{ reason: 'unknown', message: 'unplugged' }] }])
      await engine.dispose()
    },
  )

  test('tells how long it took and how many requests go on', async () => {
    const { engine, events } = await open([loseAt('run', 8)], narrow)
    await answers(engine)
    const [{ type, numSequences, durationMs }] = events as [EngineEvent]
    expect(type).toBe('recovered')
    // The fourth waits for a row.
    expect(numSequences).toBe(3)
    expect(durationMs).toBeGreaterThan(0)
    expect(durationMs).toBeLessThan(10_000)
  })

  test('frees all of the old device and takes as much of the new one', async () => {
    const { engine, devices } = await open([loseAt('run', 4)])
    const before = engine.memory()
    await greedyTokens(engine)
    expect(devices[0]!.memory()).toEqual(noMemory)
    expect(devices[0]!.isDisposed).toBe(true)
    expect(engine.memory()).toEqual(before)
    await engine.dispose()
    expect(devices[1]!.memory()).toEqual(noMemory)
    expect(devices[1]!.isDisposed).toBe(true)
  })

  test('between requests is made good by the next one', async () => {
    const { engine, devices, events } = await open([])
    for (let i = 0; i < 3; i++) {
      expect(await greedyTokens(engine)).toEqual(greedy)
      devices.at(-1)!.lose()
      // A loss that nobody asks about stays unnoticed.
      expect(events).toHaveLength(i)
    }
    expect(devices).toHaveLength(3)
  })

  test('under logits, alone and beside a request, is one loss', async () => {
    const { engine, events } = await open([loseAt('run', 1), loseAt('run', 3)])
    const calm = await openEngine()
    const { logits } = await calm.logits(prompt)
    expect((await engine.logits(prompt)).logits).toEqual(logits)
    const [again, tokens] = await Promise.all([engine.logits(prompt), greedyTokens(engine)])
    expect(again.logits).toEqual(logits)
    expect(tokens).toEqual(greedy)
    expect(events).toHaveLength(2)
  })
})

test('a result of the old device that comes after the recovery is not counted', async () => {
  let pauseMs = 0
  const beforeResult = (): Promise<void> => wait(pauseMs)
  const { engine, devices, events } = await open([{ beforeResult, keepsResults: true }])
  pauseMs = 60
  const running = greedyTokens(engine)
  await wait(5)
  devices[0]!.lose()
  await engine.logits(prompt)
  expect(events).toHaveLength(1)
  expect(await running).toEqual(greedy)
})

describe('a loss of the new device', () => {
  test.each([
    ['alloc', 3],
    ['upload', 2],
    ['prepare', 2],
  ] as const)('at %s %i is a second loss of one recovery', async (call, count) => {
    const { engine, devices, events } = await open([loseAt('run', 9), loseAt(call, count)], narrow)
    expect(await answers(engine)).toEqual(await undisturbed())
    expect(devices).toHaveLength(3)
    expect(devices[1]!.memory()).toEqual(noMemory)
    expect(events).toHaveLength(1)
    expect(events[0]!.losses).toHaveLength(2)
  })

  test('at its first step is another recovery', async () => {
    const { engine, events } = await open([loseAt('run', 9), loseAt('run', 1)], narrow)
    expect(await answers(engine)).toEqual(await undisturbed())
    expect(events.map(({ losses }) => losses.length)).toEqual([1, 1])
  })
})

describe('recovery is bounded', () => {
  afterEach(() => vi.restoreAllMocks())

  test('to three losses a minute; the fourth fails every request, and a minute later it works again', async () => {
    const { engine, devices, events } = await open(Array.from({ length: 4 }, () => loseAt('run', 2)))
    const results = await Promise.allSettled([greedyTokens(engine), greedyTokens(engine)])
    const failed = { status: 'rejected', reason: { code: 'device/lost' } }
    expect(results).toMatchObject([failed, failed])
    expect(String((results[0] as PromiseRejectedResult).reason)).toMatch(/at most 3 losses .* got 4/)
    expect([devices.length, events.length]).toEqual([4, 3])
    const now = performance.now()
    const clock = vi.spyOn(performance, 'now').mockReturnValue(now + 30_000)
    // That the device is still lost is not one more loss.
    for (let i = 0; i < 4; i++)
      await expect(greedyTokens(engine)).rejects.toMatchObject({ code: 'device/lost' })
    expect(devices).toHaveLength(4)
    clock.mockReturnValue(now + 60_001)
    expect(await greedyTokens(engine)).toEqual(greedy)
    expect(events).toHaveLength(4)
    expect(devices.slice(0, 4).map((device) => device.memory())).toEqual(devices.slice(1).map(() => noMemory))
  })
})

describe('a reload that fails', () => {
  test('fails every request with its cause; the next one tries again', async () => {
    const cause = new RangeError('no adapter')
    let isBroken = true
    const { engine, devices, events } = await open([loseAt('run', 3)], {}, () => {
      if (isBroken) throw cause
    })
    const results = await Promise.allSettled([greedyTokens(engine), greedyTokens(engine)])
    const failed = { status: 'rejected', reason: { code: 'device/lost', cause } }
    expect(results).toMatchObject([failed, failed])
    expect(engine.memory()).toEqual(noMemory)
    isBroken = false
    expect(await greedyTokens(engine)).toEqual(greedy)
    expect([devices.length, events.length]).toEqual([2, 1])
  })

  test('leaves nothing on the new device', async () => {
    const broken = { ...createReferenceDevice(), prepare: () => Promise.reject(new RangeError('full')) }
    const engine = await openEngine({
      device: losableDevice(createReferenceDevice(), loseAt('run', 3)),
      nextDevice: () => broken,
    })
    await expect(greedyTokens(engine)).rejects.toMatchObject({ cause: { message: 'full' } })
    expect(broken.memory()).toEqual(noMemory)
    expect(await broken.lost).toMatchObject({ reason: 'destroyed' })
  })
})

describe('the model that is opened again', () => {
  /** What a loss gives where `json` and a spy on `close` take the place of the model's own. */
  async function lose(
    json: LoadedModel['json'],
  ): Promise<{ result: unknown; close: unknown; device: Device }> {
    const golden = `${fixturesDir}/golden/llama/gqa`
    const model = await openModelStore(directoryStore(golden))
    const close = vi.fn(async () => undefined)
    const device = createReferenceDevice()
    const reopen: Reopen = async () => ({
      device,
      model: { ...model, json: { ...model.json, ...json }, close },
    })
    const first = losableDevice(createReferenceDevice(), loseAt('run', 3))
    const engine = await createEngineOn(first, model, { dtype: 'f32', maxSeqLen: 64 }, reopen)
    const result = await greedyTokens(engine).catch((error: unknown) => error)
    await model.close()
    return { result, close, device }
  }

  test('is closed when it has been loaded', async () => {
    const { result, close } = await lose({})
    expect(result).toEqual(greedy)
    expect(close).toHaveBeenCalledOnce()
  })

  test('must be the same', async () => {
    const { result, close, device } = await lose({ rope_theta: 1 })
    expect(result).toMatchObject({ code: 'device/lost', cause: { code: 'file/changed' } })
    expect(close).toHaveBeenCalledOnce()
    expect(await device.lost).toMatchObject({ reason: 'destroyed' })
  })
})

test.each<[string, (error: Error) => unknown]>([
  [
    'throws',
    (error) => {
      throw error
    },
  ],
  ['rejects', (error) => Promise.reject(error)],
])('a listener that %s is shown and ends nothing', async (_how, listener) => {
  const shown = vi.spyOn(console, 'error').mockReturnValue()
  const error = new RangeError('of the caller')
  const { engine } = await open([loseAt('run', 3)], { onEvent: () => listener(error) })
  expect(await greedyTokens(engine)).toEqual(greedy)
  expect(await greedyTokens(engine)).toEqual(greedy)
  expect(shown.mock.calls).toEqual([[error]])
  shown.mockRestore()
})

test('an error of a device that lives is not a loss', async () => {
  const device = losableDevice(createReferenceDevice())
  const error = new TypeError('bad step')
  const nextDevice = vi.fn(createReferenceDevice)
  const engine = await openEngine({ device: { ...device, run: () => Promise.reject(error) }, nextDevice })
  await expect(greedyTokens(engine)).rejects.toBe(error)
  expect(nextDevice).not.toHaveBeenCalled()
})

test('a device that was given cannot be made again', async () => {
  const engine = await openEngine({ device: losableDevice(createReferenceDevice(), loseAt('run', 3)) })
  const fault = await greedyTokens(engine).catch((error: unknown) => error)
  expect(fault).toMatchObject({ code: 'device/lost' })
  expect(String(fault)).toMatch(/unplugged.*passed in/)
})

describe('during a recovery', () => {
  /** An engine that waits for a new device until told to go on. */
  async function waiting(
    next: LosableOptions = {},
  ): Promise<Disturbed & { go: () => void; signal: () => AbortSignal | undefined }> {
    let go = (): void => undefined
    const gate = new Promise<void>((resolve) => (go = resolve))
    let seen: AbortSignal | undefined
    const disturbed = await open([loseAt('run', 5), next], {}, (signal) => {
      seen = signal
      return Promise.race([
        gate,
        new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason))),
      ])
    })
    return { ...disturbed, go, signal: () => seen }
  }

  test('an abort ends its request at once and no other', async () => {
    const { engine, go, signal } = await waiting()
    const abort = new AbortController()
    const aborted = greedyTokens(engine, abort.signal)
    const other = greedyTokens(engine)
    await vi.waitFor(() => expect(signal()).toBeDefined())
    abort.abort()
    await expect(aborted).rejects.toMatchObject({ name: 'AbortError' })
    go()
    expect(await other).toEqual(greedy)
  })

  test('the abort of the only request leaves a working engine', async () => {
    const { engine, go, signal, events } = await waiting()
    const abort = new AbortController()
    const aborted = greedyTokens(engine, abort.signal)
    await vi.waitFor(() => expect(signal()).toBeDefined())
    abort.abort()
    await expect(aborted).rejects.toMatchObject({ name: 'AbortError' })
    go()
    expect(await greedyTokens(engine)).toEqual(greedy)
    expect(events).toMatchObject([{ numSequences: 0 }])
  })

  test('a new request waits for the new device', async () => {
    const { engine, go, signal } = await waiting()
    const first = greedyTokens(engine)
    await vi.waitFor(() => expect(signal()).toBeDefined())
    const later = Promise.all([greedyTokens(engine), engine.logits(prompt)])
    go()
    expect(await first).toEqual(greedy)
    expect((await later)[0]).toEqual(greedy)
  })

  test('dispose ends everything and leaves nothing', async () => {
    const { engine, devices, signal, events } = await waiting()
    const running = greedyTokens(engine)
    await vi.waitFor(() => expect(signal()).toBeDefined())
    const settled = Promise.allSettled([running, engine.logits(prompt)])
    await engine.dispose()
    const disposed = { status: 'rejected', reason: { code: 'engine/disposed' } }
    expect(await settled).toMatchObject([disposed, disposed])
    expect([devices.length, events.length]).toEqual([1, 0])
    expect(devices[0]!.memory()).toEqual(noMemory)
  })

  test('dispose after the new device has come leaves nothing either', async () => {
    const { engine, devices, go, signal } = await waiting({ beforeResult: () => wait(0) })
    const running = greedyTokens(engine).catch((error: unknown) => error)
    await vi.waitFor(() => expect(signal()).toBeDefined())
    go()
    await vi.waitFor(() => expect(devices).toHaveLength(2), { interval: 0 })
    await engine.dispose()
    expect(await running).toMatchObject({ code: 'engine/disposed' })
    expect(devices.map((device) => [device.memory(), device.isDisposed])).toEqual([
      [noMemory, true],
      [noMemory, true],
    ])
  })
})
