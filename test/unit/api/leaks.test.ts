// A thousand requests leave nothing behind: whole ones, stopped ones, refused ones. Bytes on the device by owner, and the
// JS heap after a collection.

import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { expect, test } from 'vitest'
import type { Engine } from '../../../src/api/types.ts'
import { createRecordingDevice } from '../../../src/device/recording/recording.ts'
import { minimalCapabilities } from '../models/tinyLlama.ts'
import { openEngine, prompt } from './models.ts'

setFlagsFromString('--expose-gc')
const collectGarbage = runInNewContext('gc') as () => void

/** Seventy bytes a request would be more. */
const allowedBytes = 64 * 1024
const numRequests = 1000
/** Compiled code and caches grow the heap in some rounds, a leak in each. */
const maxRounds = 8

/** Lives as long as the page, and must not gather listeners. */
const calm = new AbortController().signal

/** A sequence of kinds: done, streamed, aborted in the middle, aborted before, left, refused, too long, logits. */
async function request(engine: Engine, index: number): Promise<void> {
  const abort = new AbortController()
  const base = { prompt, max_tokens: 1 + (index % 5), seed: index, signal: calm }
  const longer = { max_tokens: 40, stream: true, signal: abort.signal } as const
  switch (index % 8) {
    case 0:
      return void (await engine.completions.create(base))
    case 1:
      for await (const _ of engine.completions.create({ ...base, stream: true }));
      return
    case 2:
      for await (const _ of engine.completions.create({ ...base, ...longer })) abort.abort()
      return
    case 3:
      abort.abort()
      return void (await engine.completions.create({ ...base, signal: abort.signal }))
    case 4:
      for await (const _ of engine.completions.create({ ...base, max_tokens: 40, stream: true })) return
      return
    case 5:
      return void (await engine.completions.create({ ...base, temperature: -1 }))
    case 6:
      return void (await engine.completions.create({ ...base, prompt: Array.from({ length: 65 }, () => 1) }))
    default:
      return void (await engine.logits(prompt, { signal: calm }))
  }
}

/** Four at a time, so that they share steps and wait for rows; how many failed. */
async function serve(engine: Engine, count: number): Promise<number> {
  let next = 0
  let numFailed = 0
  const worker = async (): Promise<void> => {
    while (next < count) await request(engine, next++).catch(() => numFailed++)
  }
  await Promise.all([worker(), worker(), worker(), worker()])
  return numFailed
}

async function heapBytes(): Promise<number> {
  for (let i = 0; i < 3; i++) {
    collectGarbage()
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
  return process.memoryUsage().heapUsed
}

test(
  'a thousand requests of all kinds leave neither device memory nor heap behind',
  { timeout: 180_000 },
  async () => {
    const device = createRecordingDevice(minimalCapabilities)
    const calls = device.calls as unknown[]
    const engine = await openEngine({ device })
    await serve(engine, numRequests)
    const memory = engine.memory()
    let growth = Infinity
    for (let round = 0; round < maxRounds && growth > allowedBytes; round++) {
      // The recording itself is not the engine's.
      calls.length = 0
      const before = await heapBytes()
      expect(await serve(engine, numRequests)).toBe(numRequests / 2)
      calls.length = 0
      growth = (await heapBytes()) - before
      expect(engine.memory()).toEqual(memory)
    }
    expect(growth).toBeLessThanOrEqual(allowedBytes)
    await engine.dispose()
    expect(device.memory()).toEqual({ weights: 0, states: 0, arena: 0, step: 0, readback: 0 })
  },
)
