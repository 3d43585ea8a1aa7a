// A trained model that we did not make: Karpathy's stories260K, converted at test time, against its known loss on real
// text, and a story that it tells.

import { readFileSync } from 'node:fs'
import { beforeAll, describe, expect, test } from 'vitest'
import { createEngineOn, openModelStore } from '../../src/api/model.ts'
import type { Engine } from '../../src/api/types.ts'
import { openDawnDevice } from '../../src/device/dawn/dawn.ts'
import { createReferenceDevice } from '../../src/device/reference/reference.ts'
import { dataDir, hasData } from '../helpers/dirs.ts'
import { llama2cStore, type Llama2cOptions } from '../helpers/llama2c.ts'

const files = ['llama/stories260K.bin', 'tokenizers/tok512-tokenizer.json', 'text/tinystories.txt']
const missing = files.filter((path) => !hasData(path))
const reason = missing.length > 0 ? ` (skipped: ${missing.join(', ')} not in ${dataDir})` : ''

/** Nats, mean over 256 tokens. */
const knownLoss = 1.23999

const read = (path: string): Buffer => readFileSync(`${dataDir}/${path}`)

async function load(device: 'webgpu' | 'reference', options: Llama2cOptions = {}): Promise<Engine> {
  const store = llama2cStore(read(files[0]!), read(files[1]!).toString(), options)
  const target = device === 'reference' ? createReferenceDevice() : await openDawnDevice()
  return createEngineOn(target, await openModelStore(store), { dtype: 'f32', maxSeqLen: 512 })
}

/** BOS and the first 256 tokens of the first story. */
async function firstTokens(): Promise<number[]> {
  const { tokenizer } = await openModelStore(llama2cStore(read(files[0]!), read(files[1]!).toString()))
  const story = read(files[2]!).toString().split('<|endoftext|>')[0]!.trim()
  return tokenizer!.encode(story).slice(0, 257)
}

/** Mean negative log-likelihood of each token after the first, in nats. */
async function meanLoss(engine: Engine, tokens: readonly number[]): Promise<number> {
  const { logits } = await engine.logits(tokens)
  const losses = tokens.slice(1).map((token, i) => {
    const row = Float64Array.from(logits[i]!)
    const max = row.reduce((a, b) => Math.max(a, b), -Infinity)
    let sum = 0
    for (const logit of row) sum += Math.exp(logit - max)
    return Math.log(sum) + max - row[token]!
  })
  return losses.reduce((a, b) => a + b, 0) / losses.length
}

describe.skipIf(missing.length > 0)(`stories260K${reason}`, () => {
  let tokens: number[]
  beforeAll(async () => {
    tokens = await firstTokens()
  })

  test('reads its tokenizer: BOS, then pieces of the story', () => {
    expect(tokens).toHaveLength(257)
    expect(tokens.slice(0, 5)).toEqual([1, 385, 328, 432, 261])
  })

  test('has its known loss on a real story on the reference device', async () => {
    await using engine = await load('reference')
    expect(Math.abs((await meanLoss(engine, tokens)) - knownLoss)).toBeLessThan(2e-5)
  })

  test('has its known loss on WGSL, and tells a story', async () => {
    await using engine = await load('webgpu')
    expect(Math.abs((await meanLoss(engine, tokens)) - knownLoss)).toBeLessThan(2e-5)
    const { choices } = await engine.completions.create({
      prompt: 'Once upon a time',
      max_tokens: 50,
      temperature: 0,
    })
    expect(choices[0]!.text).toMatch(/^, there was a little \w+ named \w+\./)
  })

  test('is far off when Q and K keep the order of the file', async () => {
    await using engine = await load('reference', { permute: false })
    expect(await meanLoss(engine, tokens)).toBeGreaterThan(2)
  })
})
