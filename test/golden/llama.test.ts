// Whole models of the Llama family against PyTorch: logits and greedy tokens of ten random configurations, on the f64
// reference and on WGSL, in f32 and f16, in any chunking and any block order.

import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createEngineOn, openModelStore } from '../../src/api/model.ts'
import { createReferenceDevice } from '../../src/device/reference/reference.ts'
import { openDawnDevice } from '../../src/device/dawn/dawn.ts'
import { LlmEngine } from '../../src/engine/llm/llmEngine.ts'
import type { Engine } from '../../src/api/types.ts'
import { directoryStore } from '../../src/node/directoryStore.ts'
import { fixturesDir } from '../helpers/dirs.ts'
import { expectClose } from '../helpers/close.ts'
import { flatten, llamaGoldens, readGolden, type GoldenPrompt } from '../helpers/golden.ts'
import { testDevice } from '../helpers/devices.ts'

const limits = { f32: 1e-5, f16: 5e-3 } as const

async function load(
  dir: string,
  dtype: 'f32' | 'f16',
  device: 'reference' | 'packed' | 'native',
  maxSeqLen = 64,
): Promise<Engine> {
  const model = await openModelStore(directoryStore(dir))
  const target = device === 'reference' ? createReferenceDevice() : await openDawnDevice({ half: device })
  const maxNumBatchedTokens = maxSeqLen === 64 ? 16 : 96
  const engine = await createEngineOn(target, model, { dtype, maxSeqLen, maxNumSeqs: 4, maxNumBatchedTokens })
  await model.close()
  return engine
}

/** Long prompts need longer tables and several blocks of a block table; short ones are faster without. */
function maxSeqLenOf({ tokens, maxSeqLen = tokens.length > 33 ? 768 : 64 }: GoldenPrompt): number {
  return maxSeqLen
}

/** Calls `check` with every prompt and an engine for its length. */
async function forEachPrompt(
  dir: string,
  prompts: readonly GoldenPrompt[],
  [dtype, device]: readonly ['f32' | 'f16', 'reference' | 'packed' | 'native'],
  check: (engine: Engine, prompt: GoldenPrompt) => Promise<void>,
): Promise<void> {
  for (const maxSeqLen of new Set(prompts.map(maxSeqLenOf))) {
    await using engine = await load(dir, dtype, device, maxSeqLen)
    for (const prompt of prompts) if (maxSeqLenOf(prompt) === maxSeqLen) await check(engine, prompt)
  }
}

/** Of the last rows of `logits`, as many as `expected` holds. */
function expectLogits(
  logits: readonly (Float32Array | Float64Array)[],
  expected: Float32Array | Float64Array,
  { name, tokens }: GoldenPrompt,
  limit: number,
): void {
  expect(logits).toHaveLength(tokens.length)
  const numRows = expected.length / logits[0]!.length
  expect(numRows, `rows of ${name}`).toBeGreaterThanOrEqual(Math.min(tokens.length, 8))
  expectClose(flatten(logits.slice(-numRows)), expected, limit, name)
}

async function greedy(engine: Engine, prompt: readonly number[], length: number): Promise<number[]> {
  const { choices } = await engine.completions.create({ prompt, max_tokens: length, temperature: 0 })
  return choices[0]!.tokens
}

describe.each(llamaGoldens)('%s', (name) => {
  test('the reference device gives the f64 logits of PyTorch and the same greedy tokens', async () => {
    const golden = await readGolden(name)
    await forEachPrompt(golden.dir, golden.prompts, ['f32', 'reference'], async (engine, prompt) => {
      const { logits } = await engine.logits(prompt.tokens)
      expectLogits(logits, await golden.array(`${prompt.name}.logits.f64`), prompt, 1e-10)
    })
    await using engine = await load(golden.dir, 'f32', 'reference')
    const { tokens, greedy: expected } = golden.prompts[1]!
    expect(await greedy(engine, tokens, expected.length)).toEqual(expected)
  })

  test.each([
    ['f32', 'packed'],
    ['f16', 'packed'],
    ['f16', 'native'],
  ] as const)('WGSL in %s (%s halves) is close to PyTorch', async (dtype, half) => {
    const golden = await readGolden(name)
    await forEachPrompt(golden.dir, golden.prompts, [dtype, half], async (engine, prompt) => {
      const { logits } = await engine.logits(prompt.tokens)
      expectLogits(logits, await golden.array(`${prompt.name}.logits.f32`), prompt, limits[dtype])
      // f16 may part where two logits are close; these goldens keep their distance for the first tokens.
      const length = dtype === 'f32' ? prompt.greedy.length : Math.min(prompt.greedy.length, 4)
      expect(await greedy(engine, prompt.tokens, length)).toEqual(prompt.greedy.slice(0, length))
    })
  })
})

test('the longest prompts have 33, 130 and 700 tokens', async () => {
  const goldens = await Promise.all(llamaGoldens.map(readGolden))
  const longest = goldens.map(({ prompts }) => prompts.at(-1)!.tokens.length)
  expect(new Set(longest)).toEqual(new Set([33, 130, 700]))
})

test('a sharded checkpoint gives the same logits as a single file', async () => {
  await using whole = await load(`${fixturesDir}/golden/llama/gqa`, 'f32', 'packed')
  await using sharded = await load(`${fixturesDir}/golden/llama/gqa-sharded`, 'f32', 'packed')
  const tokens = [1, 5, 9, 33]
  expect(flatten((await sharded.logits(tokens)).logits)).toEqual(flatten((await whole.logits(tokens)).logits))
})

describe('one sequence, many ways to compute it', () => {
  let llm: LlmEngine
  let tokens: number[]
  let expected: Float64Array

  beforeAll(async () => {
    const golden = await readGolden('gqa')
    const model = await openModelStore(directoryStore(golden.dir))
    const options = {
      dtype: 'f32',
      maxSeqLen: 64,
      maxNumSeqs: 2,
      maxNumBatchedTokens: 16,
      numBlocks: 8,
    } as const
    llm = await LlmEngine.load(await testDevice(), model.spec, model.checkpoint, options)
    await model.close()
    tokens = golden.prompts[2]!.tokens
    expected = flatten(await llm.logits(tokens))
  })

  afterAll(() => llm.dispose())

  test.each([
    ['token by token', Array.from({ length: 33 }, () => 1)],
    ['in chunks of 16', [16, 16, 1]],
    ['in odd chunks', [5, 1, 17, 10]],
  ])('%s', async (_name, chunks) => {
    expectClose(flatten(await llm.logits(tokens, { chunks })), expected, 1e-6)
  })

  test('shuffled KV blocks change nothing at all', async () => {
    const shuffled = flatten(await llm.logits(tokens, { blockOrder: [5, 2, 7, 0, 1, 3, 4, 6] }))
    expect(shuffled).toEqual(expected)
  })

  test('a wrong block order would be noticed', async () => {
    const other = [...tokens]
    ;[other[3], other[20]] = [other[20]!, other[3]!]
    const swapped = flatten(await llm.logits(other))
    expect(() => expectClose(swapped, expected, 1e-6)).toThrow(/relative L2/)
  })
})
