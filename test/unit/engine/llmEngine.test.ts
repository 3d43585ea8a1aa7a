// The engine's loop over devices that compute nothing: what a token costs, and requests that come, end, fail or are
// cancelled at awkward moments. That the tokens are right is tested in test/golden.

import { describe, expect, test } from 'vitest'
import { RuntimeFault } from '../../../src/core/errors.ts'
import type { Device } from '../../../src/device/device.ts'
import { createRecordingDevice, type RecordingDevice } from '../../../src/device/recording/recording.ts'
import { LlmEngine, type LlmEngineOptions } from '../../../src/engine/llm/llmEngine.ts'
import type { TokenEvent } from '../../../src/engine/llm/servingLoop.ts'
import { fitPlans } from '../../../src/engine/fit.ts'
import type { SequenceParams } from '../../../src/engine/llm/sequence.ts'
import { minimalCapabilities, tinySpec } from '../models/tinyLlama.ts'
import { checkpointFor } from './memoryCheckpoint.ts'

const options: LlmEngineOptions = {
  dtype: 'f32',
  maxSeqLen: 32,
  maxNumSeqs: 3,
  maxNumBatchedTokens: 8,
  numBlocks: 6,
}

const load = (device: Device, changes: Partial<LlmEngineOptions> = {}): Promise<LlmEngine> =>
  LlmEngine.load(device, tinySpec, checkpointFor(tinySpec), { ...options, ...changes })

function request(numPrompt: number, changes: Partial<SequenceParams> = {}): SequenceParams {
  return {
    promptTokens: Array.from({ length: numPrompt }, (_, i) => (i % 23) + 1),
    maxNewTokens: 5,
    stopTokenIds: new Set(),
    sampling: { temperature: 0, seed: [0, 0] },
    ...changes,
  }
}

async function drain(stream: AsyncIterable<TokenEvent>): Promise<TokenEvent[]> {
  const events: TokenEvent[] = []
  for await (const event of stream) events.push(event)
  return events
}

const wait = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

/** Reads come back after a while, as they do from a GPU. */
function slow(device: Device): Device {
  return {
    ...device,
    async run(...args) {
      const result = await device.run(...args)
      await wait(3)
      return result
    },
  }
}

/** From its third step on, no logit of the first row is a number. */
function overflowing(device: Device): Device {
  let numRuns = 0
  return {
    ...device,
    async run(...args) {
      const result = await device.run(...args)
      if (++numRuns >= 3) result['sampled']!.data[0] = -1
      return result
    },
  }
}

const recording = (): RecordingDevice => createRecordingDevice(minimalCapabilities)

describe('a token', () => {
  test('costs one run with one small upload, and creates nothing', async () => {
    const device = recording()
    const engine = await load(device)
    const before = device.calls.length
    const events = await drain(engine.generate(request(5, { maxNewTokens: 20 })))
    const calls = device.calls.slice(before)
    expect(events).toHaveLength(20)
    // One step for the prompt, which gives the first token, and one for each further token.
    expect(calls.map(({ kind }) => kind)).toEqual(Array.from({ length: 20 }, () => 'run'))
    const uploads = calls.map((call) => (call.kind === 'run' ? call.uploadedBytes : Infinity))
    expect(Math.max(...uploads)).toBeLessThan(16 * 1024)
  })

  test('that no logit gives fails its request, and no other', async () => {
    const engine = await load(overflowing(recording()))
    const events: TokenEvent[] = []
    const failing = (async () => {
      for await (const event of engine.generate(request(3))) events.push(event)
    })()
    const other = drain(engine.generate(request(3)))
    await expect(failing).rejects.toThrow('[engine/overflow] sampling')
    expect(events).toHaveLength(2)
    expect(await other).toHaveLength(5)
    expect(engine.cacheState()).toMatchObject({ numFree: 6, sequences: [] })
  })

  test('of several sequences shares its run with theirs', async () => {
    const device = recording()
    const engine = await load(device)
    const before = device.calls.length
    await Promise.all([2, 3, 3].map((length) => drain(engine.generate(request(length)))))
    // Alone they take five runs each; the first starts before the others have come.
    expect(device.calls.length - before).toBeLessThanOrEqual(7)
  })

  test('of a prompt in three chunks costs three runs, of which only the last is read', async () => {
    const device = recording()
    const engine = await load(device)
    const before = device.calls.length
    await drain(engine.generate(request(17, { maxNewTokens: 1 })))
    const reads = device.calls.slice(before).map((call) => (call.kind === 'run' ? call.outputs : undefined))
    expect(reads).toEqual([[], [], ['sampled']])
  })
})

describe('tokens that are read back together', () => {
  test.each([
    [1, 20, 20],
    [3, 20, 7],
    [8, 20, 3],
    [64, 20, 1],
    [4, 1, 1],
  ])(
    '%i at a time: %i tokens cost %i waits, and as many steps as ever',
    async (together, numTokens, waits) => {
      const device = recording()
      const engine = await load(device, { tokensPerReadback: together })
      const before = device.calls.length
      const events = await drain(engine.generate(request(5, { maxNewTokens: numTokens })))
      expect(events).toHaveLength(numTokens)
      expect(events.map(({ finishReason }) => finishReason).lastIndexOf(undefined)).toBe(numTokens - 2)
      expect(device.numReads).toBe(waits)
      expect(device.calls.slice(before).map(({ kind }) => kind)).toEqual(
        Array.from({ length: numTokens }, () => 'run'),
      )
    },
  )

  test('compute at most two batches in vain where an answer stops', async () => {
    const device = recording()
    const engine = await load(slow(device), { tokensPerReadback: 4 })
    const before = device.calls.length
    expect(
      await drain(engine.generate(request(3, { stopTokenIds: new Set([0]), maxNewTokens: 20 }))),
    ).toHaveLength(1)
    await wait(20)
    expect(device.calls.length - before).toBeLessThanOrEqual(8)
  })

  test('serve several sequences, preempted ones too', async () => {
    const device = recording()
    // Six blocks of 16 tokens for three sequences of up to 32.
    const engine = await load(slow(device), { tokensPerReadback: 5, numBlocks: 3 })
    const streams = [2, 3, 3].map((length) => drain(engine.generate(request(length, { maxNewTokens: 25 }))))
    expect((await Promise.all(streams)).map(({ length }) => length)).toEqual([25, 25, 25])
  })

  test('are planned for', async () => {
    const one = fitPlans('m', tinySpec, options, minimalCapabilities)
    const many = fitPlans('m', tinySpec, { ...options, tokensPerReadback: 64 }, minimalCapabilities)
    // Two batches on their way: 3 rows of 4 bytes, in buffers of 256 bytes or a larger power of two.
    expect([one.memory.readbackBytes, many.memory.readbackBytes]).toEqual([2 * 256, 2 * 1024])
  })
})

describe('a request', () => {
  test('ends at a stop token, at its own limit, and where the context is full', async () => {
    const engine = await load(recording())
    const reason = async (params: SequenceParams): Promise<unknown[]> =>
      (await drain(engine.generate(params))).map(({ finishReason }) => finishReason)
    expect(await reason(request(3, { stopTokenIds: new Set([0]) }))).toEqual(['stop'])
    expect(await reason(request(3, { stopTokenIds: new Set([1]), maxNewTokens: 2 }))).toEqual([
      undefined,
      'length',
    ])
    // The last token of a full sequence is sampled and never fed back.
    expect(await reason(request(30, { maxNewTokens: 99 }))).toEqual([undefined, undefined, 'length'])
    expect(await reason(request(32, { maxNewTokens: 99 }))).toEqual(['length'])
    expect(await reason(request(3, { maxNewTokens: 0 }))).toEqual([])
  })

  test('that comes while the last step of another is still out is served too', async () => {
    const engine = await load(slow(recording()))
    // At a stop token one more step is under way, whose result nobody waits for.
    const stopping = request(3, { stopTokenIds: new Set([0]) })
    for (let i = 0; i < 3; i++) expect(await drain(engine.generate(stopping))).toHaveLength(1)
  }, 5000)

  test.each([0, 1, 2, 3, 4, 5, 6, 7, 8])(
    'that comes %i microtasks after the end of another is served too',
    async (numTicks) => {
      const engine = await load(recording())
      for (const params of [request(3, { stopTokenIds: new Set([0]) }), request(3)]) {
        await drain(engine.generate(params))
        for (let i = 0; i < numTicks; i++) await Promise.resolve()
        expect(await drain(engine.generate(request(3)))).toHaveLength(5)
      }
    },
    5000,
  )

  test.each([
    [request(0), 'engine/context'],
    [request(33), 'engine/context'],
    [request(2, { promptTokens: [3, 24] }), 'engine/input'],
    [request(2, { promptTokens: [-1] }), 'engine/input'],
    [request(2, { promptTokens: [1.5] }), 'engine/input'],
  ])('is refused when its prompt cannot be (%#), and the engine lives on', async (params, code) => {
    const engine = await load(recording())
    await expect(drain(engine.generate(params))).rejects.toMatchObject({ code })
    expect(await drain(engine.generate(request(2)))).toHaveLength(5)
  })
})

describe('cancellation', () => {
  test('before the start rejects without a step', async () => {
    const device = recording()
    const engine = await load(device)
    const before = device.calls.length
    const stream = engine.generate(request(3), AbortSignal.abort())
    await expect(drain(stream)).rejects.toMatchObject({ name: 'AbortError', code: 'engine/cancelled' })
    expect(device.calls.length).toBe(before)
  })

  test('by signal ends the sequence within a step, even if nobody is reading', async () => {
    const device = recording()
    const engine = await load(slow(device), { maxSeqLen: 16_384, numBlocks: 1024 })
    const abort = new AbortController()
    const stream = engine.generate(request(3, { maxNewTokens: 9999 }), abort.signal)
    await stream.next()
    abort.abort()
    const numCalls = device.calls.length
    await wait(30)
    expect(device.calls.length - numCalls).toBeLessThanOrEqual(1)
    await expect(drain(stream)).rejects.toMatchObject({ name: 'AbortError', code: 'engine/cancelled' })
  })

  test('by leaving the loop ends the sequence within a step', async () => {
    const device = recording()
    const engine = await load(slow(device), { maxSeqLen: 16_384, numBlocks: 1024 })
    for await (const event of engine.generate(request(3, { maxNewTokens: 9999 }))) {
      expect(event.token).toBe(0)
      break
    }
    const numCalls = device.calls.length
    await wait(30)
    expect(device.calls.length - numCalls).toBeLessThanOrEqual(1)
  })

  test('without either, the steps go on', async () => {
    const device = recording()
    const engine = await load(slow(device), { maxSeqLen: 16_384, numBlocks: 1024 })
    const stream = engine.generate(request(3, { maxNewTokens: 9999 }))
    await stream.next()
    const numCalls = device.calls.length
    await wait(60)
    expect(device.calls.length - numCalls).toBeGreaterThan(2)
    await stream.return()
  })

  test('of one sequence leaves its neighbours alone', async () => {
    const engine = await load(slow(recording()))
    const abort = new AbortController()
    const neighbour = drain(engine.generate(request(3, { maxNewTokens: 12 })))
    const stream = engine.generate(request(3, { maxNewTokens: 12 }), abort.signal)
    await stream.next()
    abort.abort()
    await expect(drain(stream)).rejects.toMatchObject({ code: 'engine/cancelled' })
    expect(await neighbour).toHaveLength(12)
  })
})

describe('a failing step', () => {
  test('fails every request with the error of the device, and the next one starts afresh', async () => {
    const device = recording()
    let isBroken = true
    let numRuns = 0
    const failing: Device = {
      ...device,
      async run(...args) {
        if (!isBroken) return device.run(...args)
        // The step that is read first fails last: nobody listens to the other one yet.
        if (numRuns++ === 0) await wait(10)
        throw new RuntimeFault('device/lost', { where: 'x', expected: '', got: '', fix: '' })
      },
    }
    const engine = await load(failing)
    const results = await Promise.allSettled([1, 2].map(() => drain(engine.generate(request(3)))))
    expect(results).toMatchObject([
      { status: 'rejected', reason: { code: 'device/lost' } },
      { status: 'rejected', reason: { code: 'device/lost' } },
    ])
    isBroken = false
    expect(await drain(engine.generate(request(3)))).toHaveLength(5)
  })
})

describe('dispose', () => {
  test('gives all memory back and ends what runs and what comes with engine/disposed', async () => {
    const device = recording()
    const engine = await load(slow(device))
    expect(device.memory().weights).toBeGreaterThan(0)
    const running = drain(engine.generate(request(3, { maxNewTokens: 20 }))).catch((error: unknown) => error)
    await wait(5)
    await engine.dispose()
    expect(await running).toMatchObject({ code: 'engine/disposed' })
    expect(device.memory()).toEqual({ weights: 0, states: 0, arena: 0, step: 0, readback: 0 })
    await expect(drain(engine.generate(request(3)))).rejects.toMatchObject({ code: 'engine/disposed' })
    expect(() => engine.logits([1])).toThrow(/engine\/disposed/)
  })

  test('is idempotent, and a second call waits for the first', async () => {
    const device = recording()
    const engine = await load(slow(device))
    const running = drain(engine.generate(request(3, { maxNewTokens: 20 }))).catch((error: unknown) => error)
    await wait(5)
    const first = engine.dispose()
    await engine.dispose()
    expect(device.memory().weights).toBe(0)
    await first
    expect(device.memory()).toEqual({ weights: 0, states: 0, arena: 0, step: 0, readback: 0 })
    expect(await running).toMatchObject({ code: 'engine/disposed' })
  })
})

describe('loading', () => {
  test.each(['alloc of the arena', 'prepare'])('frees everything when %s fails', async (what) => {
    const device = recording()
    const error = new Error('no memory')
    const failing: Device = {
      ...device,
      alloc: (bytes, owner, label) =>
        what !== 'prepare' && owner === 'arena' ? Promise.reject(error) : device.alloc(bytes, owner, label),
      prepare: (plan, resources) =>
        what === 'prepare' ? Promise.reject(error) : device.prepare(plan, resources),
    }
    await expect(load(failing)).rejects.toBe(error)
    expect(device.calls.filter(({ kind }) => kind === 'alloc').length).toBeGreaterThan(5)
    expect(Object.values(device.memory()).every((bytes) => bytes === 0)).toBe(true)
  })

  test('keeps no weights of a model whose plans it could not prepare, and all of one that it could', async () => {
    const device = recording()
    await load(device)
    const { weights, states, arena } = device.memory()
    expect(Math.min(weights, states, arena)).toBeGreaterThan(0)
  })
})
