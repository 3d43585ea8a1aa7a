// The library in a real browser: a PyTorch golden through WebGPU of headless Chromium.

import { expect, test } from 'vitest'
import { createEngine, memoryStore, type Engine } from '../../src/index.ts'
import configText from '../fixtures/golden/llama/gqa/config.json?raw'
import goldenText from '../fixtures/golden/llama/gqa/golden.json?raw'
import arraysUrl from '../fixtures/golden/llama/gqa/golden.safetensors?url'
import weightsUrl from '../fixtures/golden/llama/gqa/model.safetensors?url'
import { openSafetensors } from '../../src/weights/safetensors.ts'
import { memorySource } from '../../src/core/files.ts'
import { expectClose } from '../helpers/close.ts'

async function fetchBytes(url: string): Promise<Uint8Array> {
  return new Uint8Array(await (await fetch(url)).arrayBuffer())
}

async function load(dtype: 'f32' | 'f16'): Promise<Engine> {
  const store = memoryStore('gqa', {
    'config.json': configText,
    'model.safetensors': await fetchBytes(weightsUrl),
  })
  const sizes = { maxSeqLen: 64, maxNumSeqs: 1, maxNumBatchedTokens: 64 }
  return createEngine({ model: store, worker: false, dtype, ...sizes })
}

const { prompts } = JSON.parse(goldenText) as {
  prompts: { name: string; tokens: number[]; greedy: number[] }[]
}

test.each([
  ['f32', 1e-5],
  ['f16', 5e-3],
] as const)('logits in %s are those of PyTorch', async (dtype, limit) => {
  await using engine = await load(dtype)
  const golden = await openSafetensors(memorySource('golden', await fetchBytes(arraysUrl)))
  const { name, tokens } = prompts[1]!
  const { logits } = await engine.logits(tokens)
  const actual = logits.flatMap((row) => [...row])
  const expected = Uint8Array.from(await golden.read(`${name}.logits.f32`, 0, actual.length))
  expectClose(actual, new Float32Array(expected.buffer), limit)
})

test('greedy tokens are those of PyTorch, and nothing stays allocated', async () => {
  const engine = await load('f32')
  const { tokens, greedy } = prompts[1]!
  const { choices } = await engine.completions.create({
    prompt: tokens,
    max_tokens: greedy.length,
    temperature: 0,
  })
  expect(choices[0]!.tokens).toEqual(greedy)
  await engine.dispose()
  expect(Object.values(engine.memory()).reduce((sum, bytes) => sum + bytes, 0)).toBe(0)
})
