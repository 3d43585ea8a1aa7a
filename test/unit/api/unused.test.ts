// Weights that a configuration does not use are told of, unless the model can do without them.

import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { createEngineOn, openGgufModel, openModelStore, type LoadedModel } from '../../../src/api/model.ts'
import { memorySource, memoryStore } from '../../../src/core/files.ts'
import { createReferenceDevice } from '../../../src/device/reference/reference.ts'
import { fixturesDir } from '../../helpers/dirs.ts'

const dir = `${fixturesDir}/golden/llama/gqa`
const config = JSON.parse(readFileSync(`${dir}/config.json`, 'utf8')) as Record<string, unknown>

function openGqa(changes: Record<string, unknown> = {}): Promise<LoadedModel> {
  return openModelStore(
    memoryStore('gqa', {
      'config.json': JSON.stringify({ ...config, ...changes }),
      'model.safetensors': readFileSync(`${dir}/model.safetensors`),
    }),
  )
}

function withTensor(model: LoadedModel, name: string): LoadedModel {
  const { tensors } = model.checkpoint
  const [first] = tensors.values()
  const more = new Map([...tensors, [name, { ...first!, name }]])
  return { ...model, checkpoint: { ...model.checkpoint, tensors: more } }
}

async function noticesOf(model: LoadedModel): Promise<string[]> {
  const notices: string[] = []
  const options = { maxSeqLen: 32, onNotice: (notice: string) => void notices.push(notice) }
  const engine = await createEngineOn(createReferenceDevice(), model, options)
  await engine.dispose()
  return notices
}

test('a layer that the configuration does not have', async () => {
  expect(await noticesOf(await openGqa())).toEqual([])
  expect(await noticesOf(await openGqa({ num_hidden_layers: 1 }))).toEqual([
    expect.stringMatching(
      /^gqa\/model\.safetensors: 9 tensors are not used \([\d.]+ KiB\), such as model\.layers\.1\./,
    ),
  ])
})

test.each([
  ['model.layers.0.self_attn.rotary_emb.inv_freq', 0],
  ['rope_freqs.weight', 0],
  ['vision_tower.weight', 1],
])('%s', async (name, count) => {
  expect(await noticesOf(withTensor(await openGqa(), name))).toHaveLength(count)
})

test('a tied head', async () => {
  const notices = await noticesOf(await openGqa({ tie_word_embeddings: true }))
  expect(notices).toEqual([])
})

test('a GGUF file is told of in its own words', async () => {
  const bytes = Uint8Array.from(readFileSync(`${fixturesDir}/golden/gguf/gqa.gguf`))
  const model = await openGgufModel(memorySource('gqa.gguf', bytes))
  expect(await noticesOf(model)).toEqual([])
  expect(await noticesOf(withTensor(model, 'model.layers.9.mlp.up_proj.weight'))).toEqual([
    expect.stringContaining('1 tensor is not used (12 KiB), such as blk.9.ffn_up.weight. Check'),
  ])
})
