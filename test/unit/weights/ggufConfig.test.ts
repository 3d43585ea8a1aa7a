// GGUF metadata → config.json: against the configurations that the fixtures were converted from.
import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { memorySource } from '../../../src/core/files.ts'
import { readLlamaConfig } from '../../../src/models/llama/config.ts'
import { ggufConfig } from '../../../src/weights/gguf/config.ts'
import { openGguf, type Gguf } from '../../../src/weights/gguf/gguf.ts'
import type { GgufValue } from '../../../src/weights/gguf/header.ts'
import { fixturesDir } from '../../helpers/dirs.ts'

const goldenDir = `${fixturesDir}/golden`

function open(name: string): Promise<Gguf> {
  return openGguf(memorySource(name, Uint8Array.from(readFileSync(`${goldenDir}/gguf/${name}`))))
}

const llama = await open('llama.gguf')
const plain: Gguf = { ...llama, ropeFactors: undefined }

function withFields(fields: Record<string, GgufValue | undefined>, gguf: Gguf = plain): Gguf {
  const metadata = new Map(gguf.metadata)
  for (const [key, value] of Object.entries(fields)) {
    if (value === undefined) metadata.delete(key)
    else metadata.set(key, value)
  }
  return { ...gguf, metadata }
}

test('gqa.gguf has the configuration of the folder it was made from', async () => {
  const folder: unknown = JSON.parse(readFileSync(`${goldenDir}/llama/gqa/config.v4.json`, 'utf8'))
  expect(readLlamaConfig(ggufConfig(await open('gqa.gguf')))).toEqual(
    readLlamaConfig(folder as Record<string, unknown>),
  )
})

test('all fields', () => {
  expect(ggufConfig(llama)).toEqual({
    architectures: ['LlamaForCausalLM'],
    model_type: 'llama',
    hidden_act: 'silu',
    vocab_size: 12,
    hidden_size: 32,
    intermediate_size: 32,
    num_hidden_layers: 1,
    num_attention_heads: 4,
    num_key_value_heads: 2,
    head_dim: 8,
    max_position_embeddings: 256,
    rms_norm_eps: 1e-5,
    rope_theta: 500,
    rope_scaling: {
      rope_type: 'llama3',
      factor: 5,
      low_freq_factor: 1,
      high_freq_factor: 8,
      original_max_position_embeddings: 48,
    },
    tie_word_embeddings: true,
    attention_bias: true,
  })
})

test('qwen2 and mistral', async () => {
  const qwen2 = ggufConfig(await open('qwen2.gguf'))
  expect(qwen2['architectures']).toEqual(['Qwen2ForCausalLM'])
  expect(qwen2).not.toHaveProperty('attention_bias')
  const renamed = [...plain.metadata].map(([key, value]): [string, GgufValue] =>
    key === 'general.architecture' ? [key, 'mistral'] : [key.replace(/^llama/, 'mistral'), value],
  )
  const mistral = withFields(
    { 'mistral.attention.sliding_window': 64 },
    { ...plain, metadata: new Map(renamed) },
  )
  expect(ggufConfig(mistral)).toMatchObject({
    architectures: ['MistralForCausalLM'],
    hidden_size: 32,
    sliding_window: 64,
  })
})

test('what files leave out', () => {
  const config = ggufConfig(
    withFields({
      'llama.attention.head_count_kv': undefined,
      'llama.attention.key_length': undefined,
      'llama.attention.value_length': undefined,
      'llama.rope.dimension_count': undefined,
      'llama.rope.freq_base': undefined,
      'llama.vocab_size': undefined,
    }),
  )
  expect(config).toMatchObject({
    num_key_value_heads: 4,
    head_dim: 8,
    rope_theta: 10_000,
    vocab_size: 12,
  })
})

test('head counts for every layer', () => {
  expect(ggufConfig(withFields({ 'llama.attention.head_count_kv': [2, 2] }))['num_key_value_heads']).toBe(2)
  expect(() => ggufConfig(withFields({ 'llama.attention.head_count_kv': [2, 4] }))).toThrow(
    '[model/unsupported]',
  )
})

describe('rotary scaling', () => {
  const scaling = (fields: Record<string, GgufValue>): unknown =>
    ggufConfig(withFields(fields))['rope_scaling']

  test('none, linear and yarn', () => {
    expect(scaling({})).toBeUndefined()
    expect(scaling({ 'llama.rope.scaling.type': 'none' })).toBeUndefined()
    expect(scaling({ 'llama.rope.scaling.type': 'linear', 'llama.rope.scaling.factor': 4 })).toEqual({
      rope_type: 'linear',
      factor: 4,
    })
    expect(scaling({ 'llama.rope.scale_linear': 2 })).toEqual({ rope_type: 'linear', factor: 2 })
    expect(
      scaling({
        'llama.rope.scaling.type': 'yarn',
        'llama.rope.scaling.factor': 8,
        'llama.rope.scaling.original_context_length': 128,
      }),
    ).toEqual({ rope_type: 'yarn', factor: 8, original_max_position_embeddings: 128 })
  })

  const cases = JSON.parse(readFileSync(`${goldenDir}/gguf/rope.json`, 'utf8')) as Record<
    string,
    { scaling: [number, number, number, number, number, number]; factors: number[] }
  >

  test.each(Object.entries(cases))('llama3 is solved for: %s', (_, { scaling, factors }) => {
    const [dim, theta, factor, low, high, original] = scaling
    const gguf = withFields({
      'llama.attention.key_length': dim,
      'llama.attention.value_length': dim,
      'llama.rope.dimension_count': dim,
      'llama.rope.freq_base': theta,
    })
    expect(ggufConfig({ ...gguf, ropeFactors: Float32Array.from(factors) })['rope_scaling']).toEqual({
      rope_type: 'llama3',
      factor,
      // The three have a common scale that does nothing.
      low_freq_factor: 1,
      high_freq_factor: high / low,
      original_max_position_embeddings: original / low,
    })
  })

  test('divisors that are none of it are refused, ones are no scaling', () => {
    const of = (factors: number[]): unknown =>
      ggufConfig({ ...plain, ropeFactors: Float32Array.from(factors) })['rope_scaling']
    expect(of([1, 1, 1, 1])).toBeUndefined()
    for (const factors of [
      [1, 2, 3, 4],
      [2, 2, 2, 2],
      [4, 3, 2, 1],
      [1, 1, 8],
      [0, 0, 0, 0],
      [1, NaN, 4, 8],
    ]) {
      expect(() => of(factors)).toThrow('[model/unsupported]')
    }
  })
})

test.each<[string, Record<string, GgufValue | undefined>]>([
  ['model/unsupported', { 'general.architecture': 'gemma' }],
  ['model/unsupported', { 'general.architecture': undefined }],
  ['model/unsupported', { 'llama.expert_count': 8 }],
  ['model/unsupported', { 'llama.rope.dimension_count': 4 }],
  ['model/unsupported', { 'llama.attention.value_length': 16 }],
  ['model/unsupported', { 'llama.rope.scaling.type': 'longrope' }],
  ['model/unsupported', { 'llama.rope.scaling.type': 'yarn', 'llama.rope.scaling.attn_factor': 2 }],
  ['model/config', { 'llama.rope.scaling.type': 'linear' }],
  ['model/config', { 'llama.embedding_length': undefined }],
  ['model/config', { 'llama.embedding_length': 0 }],
  ['model/config', { 'llama.block_count': '3' }],
  ['model/config', { 'llama.block_count': 2n ** 63n }],
  ['model/config', { 'llama.attention.head_count': [] }],
  ['model/config', { 'llama.attention.layer_norm_rms_epsilon': NaN }],
])('%s: case %#', (code, fields) => {
  expect(() => ggufConfig(withFields(fields))).toThrow(`[${code}]`)
})
