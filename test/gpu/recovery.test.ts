// A GPUDevice that is destroyed while two streams run: both go on, with the tokens of an undisturbed run.

import { afterEach, beforeEach, expect, test } from 'vitest'
import { createEngineOn, openModelStore, type OpenedModel } from '../../src/api/model.ts'
import type { CompletionRequest, Engine, EngineEvent } from '../../src/api/types.ts'
import { openDawnGpu } from '../../src/device/dawn/dawn.ts'
import { createWebGpuDevice } from '../../src/device/webgpu/webgpu.ts'
import { directoryStore } from '../../src/node/directoryStore.ts'
import { modelsDir } from '../helpers/dirs.ts'

const options = {
  dtype: 'f32',
  maxSeqLen: 128,
  maxNumSeqs: 2,
  maxNumBatchedTokens: 32,
  deterministic: true,
} as const
const requests: readonly CompletionRequest[] = [
  { prompt: 'Once upon a time', max_tokens: 24, temperature: 0 },
  { prompt: 'The dog', max_tokens: 30, temperature: 1, seed: 3, frequency_penalty: 0.5 },
]

/** Those that the engine has had. */
let gpus: GPUDevice[]
let events: EngineEvent[]
let engine: Engine

async function open(): Promise<OpenedModel> {
  const { gpu, info } = await openDawnGpu()
  gpus.push(gpu)
  const model = await openModelStore(directoryStore(`${modelsDir}/tiny-llama`))
  return { device: createWebGpuDevice(gpu, info, { polls: true }), model }
}

beforeEach(async () => {
  gpus = []
  events = []
  const { device, model } = await open()
  const onEvent = (event: EngineEvent): unknown => events.push(event)
  engine = await createEngineOn(device, model, { ...options, onEvent }, open)
  await model.close()
})
afterEach(() => engine.dispose())

/** Tokens of all requests at once; `onToken` hears how many have come. */
async function answers(onToken: (count: number) => void = () => undefined): Promise<number[][]> {
  let count = 0
  const streams = requests.map(async (request) => {
    const tokens: number[] = []
    for await (const { choices } of engine.completions.create({ ...request, stream: true })) {
      tokens.push(...(choices[0]?.tokens ?? []))
      onToken(++count)
    }
    return tokens
  })
  return Promise.all(streams)
}

test('a device destroyed under two streams pauses them and changes no token', async () => {
  const expected = await answers()
  expect(expected.map(({ length }) => length)).toEqual([24, 30])
  const memory = engine.memory()
  expect(await answers((count) => count === 20 && gpus[0]!.destroy())).toEqual(expected)
  expect(events).toMatchObject([{ type: 'recovered', losses: [{ reason: 'destroyed' }], numSequences: 2 }])
  expect(engine.memory()).toEqual(memory)
  expect(gpus).toHaveLength(2)
})

test('one destroyed between requests is replaced by the next', async () => {
  const expected = await answers()
  gpus[0]!.destroy()
  expect(await answers()).toEqual(expected)
  expect(events).toHaveLength(1)
})

test('one destroyed while the model is loaded again is one more loss of one recovery', async () => {
  const expected = await answers()
  gpus[0]!.destroy()
  const running = answers()
  while (gpus.length < 2) await new Promise((resolve) => setTimeout(resolve))
  gpus[1]!.destroy()
  expect(await running).toEqual(expected)
  expect(events.map(({ losses }) => losses.length)).toEqual([2])
})
