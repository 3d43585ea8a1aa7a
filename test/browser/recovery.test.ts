// A GPUDevice that is lost inside a worker: the page's streams go on with the same tokens, and the page's own files are
// read a second time.

import { expect, test } from 'vitest'
import { createEngine, type Engine, type EngineEvent } from '../../src/index.ts'
import { tinyLlamaStore } from './tinyLlama.ts'

const options = {
  dtype: 'f32',
  maxSeqLen: 64,
  maxNumSeqs: 2,
  maxNumBatchedTokens: 16,
  deterministic: true,
} as const
const prompts = ['Once upon a time', 'The dog']

async function answers(engine: Engine): Promise<number[][]> {
  const request = { temperature: 0, max_tokens: 16 } as const
  const all = await Promise.all(prompts.map((prompt) => engine.completions.create({ ...request, prompt })))
  return all.map(({ choices }) => choices[0]!.tokens)
}

test('a device that is lost in the worker changes no token', { timeout: 120_000 }, async () => {
  await using calm = await createEngine({ model: await tinyLlamaStore(), ...options })
  const expected = await answers(calm)
  const events: EngineEvent[] = []
  const worker = (): Worker => new Worker(new URL('./losingWorker.ts', import.meta.url), { type: 'module' })
  const onEvent = (event: EngineEvent): unknown => events.push(event)
  await using engine = await createEngine({ model: await tinyLlamaStore(), ...options, worker, onEvent })
  expect(await answers(engine)).toEqual(expected)
  expect(events).toMatchObject([{ type: 'recovered', losses: [{ reason: 'destroyed' }], numSequences: 2 }])
})
