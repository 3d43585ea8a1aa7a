// The committed folder of tiny-gptj: files, sizes, tensors against its configuration, token ids against transformers'.
// Not whether it was trained well (its card says that), nor a run of the model.

import { readdirSync, readFileSync, statSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { decodeF32 } from '../../../src/weights/decode.ts'
import { openSafetensors } from '../../../src/weights/safetensors.ts'
import { memorySource } from '../../../src/core/files.ts'
import { directoryStore } from '../../../src/node/directoryStore.ts'
import { loadTokenizer, type Tokenizer } from '../../../src/text/tokenizer.ts'
import type { Checkpoint } from '../../../src/weights/checkpoint.ts'
import { fixturesDir, modelsDir } from '../../helpers/dirs.ts'

const dir = `${modelsDir}/tiny-gptj`

function readJson(path: string): unknown {
  return JSON.parse(readFileSync(path, 'utf8'))
}

const config = readJson(`${dir}/config.json`) as {
  readonly model_type: string
  readonly vocab_size: number
  readonly n_embd: number
  readonly n_inner: number
  readonly n_layer: number
  readonly n_head: number
  readonly n_positions: number
  readonly rotary_dim: number
  readonly tie_word_embeddings: boolean
  readonly eos_token_id: number
}

describe('the folder', () => {
  test('has the files of a GPT-J and is at most 4 MB', () => {
    const files = readdirSync(dir)
    const expected =
      'README.md config.json generation_config.json model.safetensors merges.txt special_tokens_map.json tokenizer.json tokenizer_config.json vocab.json'
    expect(files).toEqual(expect.arrayContaining(expected.split(' ')))
    const bytes = files.reduce((sum, file) => sum + statSync(`${dir}/${file}`).size, 0)
    expect(bytes).toBeLessThanOrEqual(4e6)
  })

  test('turns part of each head, and leaves the benchmark room for its answer', () => {
    expect(config.model_type).toBe('gptj')
    expect(config.tie_word_embeddings).toBe(false)
    expect(config.rotary_dim).toBeLessThan(config.n_embd / config.n_head)
    expect(readJson(`${dir}/generation_config.json`)).toMatchObject({
      num_beams: 4,
      early_stopping: true,
      min_new_tokens: 30,
      max_new_tokens: 128,
      eos_token_id: config.eos_token_id,
    })
  })
})

/** Names and shapes of the parameters, as transformers writes them. */
function expectedShapes(): Record<string, number[]> {
  const { n_embd: hidden, n_inner: inner, vocab_size: vocab } = config
  const shapes: Record<string, number[]> = {
    'transformer.wte.weight': [vocab, hidden],
    'transformer.ln_f.weight': [hidden],
    'transformer.ln_f.bias': [hidden],
    'lm_head.weight': [vocab, hidden],
    'lm_head.bias': [vocab],
  }
  for (let i = 0; i < config.n_layer; i++) {
    const layer = `transformer.h.${i}`
    for (const part of ['weight', 'bias']) shapes[`${layer}.ln_1.${part}`] = [hidden]
    for (const part of 'qkv') shapes[`${layer}.attn.${part}_proj.weight`] = [hidden, hidden]
    shapes[`${layer}.attn.out_proj.weight`] = [hidden, hidden]
    shapes[`${layer}.mlp.fc_in.weight`] = [inner, hidden]
    shapes[`${layer}.mlp.fc_in.bias`] = [inner]
    shapes[`${layer}.mlp.fc_out.weight`] = [hidden, inner]
    shapes[`${layer}.mlp.fc_out.bias`] = [hidden]
  }
  return shapes
}

describe('the weights', () => {
  let checkpoint: Checkpoint
  beforeAll(async () => {
    const bytes = readFileSync(`${dir}/model.safetensors`)
    checkpoint = await openSafetensors(memorySource('model.safetensors', bytes))
  })
  afterAll(() => checkpoint.close())

  test('are the parameters of the configuration, in f16', () => {
    const tensors = [...checkpoint.tensors.values()]
    expect(Object.fromEntries(tensors.map(({ name, shape }) => [name, shape]))).toEqual(expectedShapes())
    expect(new Set(tensors.map(({ dtype }) => dtype))).toEqual(new Set(['f16']))
  })

  test('are finite, and none was left at zero or one', async () => {
    const broken: string[] = []
    for (const { name, shape } of checkpoint.tensors.values()) {
      const count = shape.reduce((product, length) => product * length, 1)
      const values = decodeF32('f16', await checkpoint.read(name, 0, count))
      const isTrained = values.some((value) => value !== 0 && value !== 1)
      if (!isTrained || !values.every(Number.isFinite)) broken.push(name)
    }
    expect(broken).toEqual([])
  })
})

describe('the tokenizer', () => {
  const { cases } = readJson(`${fixturesDir}/golden/tiny-gptj.json`) as { cases: [string, number[]][] }
  let tokenizer: Tokenizer
  beforeAll(async () => {
    tokenizer = (await loadTokenizer(directoryStore(dir)))!
  })

  test('gives the ids of transformers', () => {
    expect(cases.map(([text]) => [text, tokenizer.encode(text)])).toEqual(cases)
  })

  test('gives the text back', () => {
    expect(cases.map(([, ids]) => tokenizer.decode(ids, { skipSpecialTokens: false }))).toEqual(
      cases.map(([text]) => text),
    )
  })

  test('has the vocabulary of the model, with the end as its last token', () => {
    expect(tokenizer.vocabSize).toBe(config.vocab_size)
    expect(tokenizer.eosTokenIds).toEqual([config.vocab_size - 1])
    expect(tokenizer.bosTokenId).toBe(config.vocab_size - 1)
    expect(Math.max(...cases.flatMap(([, ids]) => ids))).toBe(config.vocab_size - 1)
  })

  test("says the same in GPT-2's two files", () => {
    const { model } = readJson(`${dir}/tokenizer.json`) as {
      model: { vocab: Record<string, number>; merges: [string, string][] }
    }
    expect(readJson(`${dir}/vocab.json`)).toEqual(model.vocab)
    const [version, ...merges] = readFileSync(`${dir}/merges.txt`, 'utf8').trimEnd().split('\n')
    expect(version).toBe('#version: 0.2')
    expect(merges).toEqual(model.merges.map((pair) => pair.join(' ')))
  })
})
