// Reading the config.json of a Llama, Mistral or Qwen2: the files that transformers 4 and 5 wrote, defaults, and every field that can be wrong.

import { readFileSync, readdirSync } from 'node:fs'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { RuntimeFault } from '../../../src/core/errors.ts'
import { readLlamaConfig } from '../../../src/models/llama/config.ts'
import type { RopeConfig } from '../../../src/models/llama/ropeConfig.ts'
import { fixturesDir } from '../../helpers/dirs.ts'
import { llamaGoldens } from '../../helpers/golden.ts'

const golden = `${fixturesDir}/golden/llama`
const models = readdirSync(golden, { withFileTypes: true }).flatMap((entry) =>
  entry.isDirectory() ? [entry.name] : [],
)
const readJson = (path: string): Record<string, unknown> =>
  JSON.parse(readFileSync(`${golden}/${path}`, 'utf8')) as Record<string, unknown>

/** The least that a config may say. */
const minimal = {
  architectures: ['LlamaForCausalLM'],
  vocab_size: 100,
  hidden_size: 64,
  intermediate_size: 128,
  num_hidden_layers: 2,
  num_attention_heads: 4,
}

function faultOf(json: Record<string, unknown>): RuntimeFault {
  try {
    readLlamaConfig(json)
  } catch (error) {
    if (error instanceof RuntimeFault) return error
    throw error
  }
  throw new Error(`no fault for ${JSON.stringify(json)}`)
}

describe('configs written by transformers', () => {
  test('are there', () => {
    expect(models).toEqual([...llamaGoldens, 'gqa-sharded'].sort())
  })

  test.each(models.filter((name) => name !== 'gqa-sharded'))(
    '%s means the same in the spellings of versions 4 and 5',
    (name) => {
      const config = readLlamaConfig(readJson(`${name}/config.json`))
      expect(readLlamaConfig(readJson(`${name}/config.v4.json`))).toEqual(config)
      expect(readLlamaConfig(readJson(`${name}/config.v5.json`))).toEqual(config)
    },
  )

  test('gqa has four query heads for each KV head', () => {
    expect(readLlamaConfig(readJson('gqa/config.json'))).toEqual({
      vocabSize: 96,
      hiddenSize: 64,
      intermediateSize: 72,
      numLayers: 2,
      numHeads: 8,
      numKvHeads: 2,
      headDim: 8,
      maxSeqLen: 128,
      defaultMaxSeqLen: 128,
      normEps: 1e-6,
      rope: { kind: 'default', theta: 10_000 },
      tieWordEmbeddings: false,
      qkvBias: false,
      outputBias: false,
      mlpBias: false,
    })
  })

  test('llama3-biases has scaled frequencies, biases and heads wider than the hidden size suggests', () => {
    expect(readLlamaConfig(readJson('llama3-biases/config.json'))).toMatchObject({
      hiddenSize: 60,
      numHeads: 4,
      headDim: 16,
      qkvBias: true,
      outputBias: true,
      mlpBias: true,
      rope: {
        kind: 'llama3',
        theta: 500,
        factor: 5,
        lowFreqFactor: 1,
        highFreqFactor: 4,
        originalMaxSeqLen: 48,
      },
    })
  })

  test.each([
    ['head48', { headDim: 48, numHeads: 3, hiddenSize: 24, maxSeqLen: 1024 }],
    ['head256-linear', { headDim: 256, rope: { kind: 'linear', theta: 10_000, factor: 4 }, maxSeqLen: 3072 }],
    [
      'dynamic',
      {
        rope: { kind: 'dynamic', theta: 10_000, factor: 4, originalMaxSeqLen: 64 },
        maxSeqLen: 256,
        defaultMaxSeqLen: 64,
      },
    ],
    ['qwen2', { qkvBias: true, outputBias: false, mlpBias: false, tieWordEmbeddings: true, maxSeqLen: 768 }],
    ['mistral', { qkvBias: false, outputBias: false, mlpBias: false, maxSeqLen: 64, defaultMaxSeqLen: 64 }],
    [
      'yarn',
      {
        maxSeqLen: 768,
        defaultMaxSeqLen: 768,
        rope: {
          kind: 'yarn',
          theta: 500,
          factor: 8,
          originalMaxSeqLen: 96,
          betaFast: 4,
          betaSlow: 1,
          truncate: true,
          attentionFactor: 0.1 * Math.log(8) + 1,
        },
      },
    ],
  ])('%s has what its name says', (name, expected) => {
    expect(readLlamaConfig(readJson(`${name}/config.json`))).toMatchObject(expected)
  })

  test('mqa-tied shares its embedding and has one KV head', () => {
    expect(readLlamaConfig(readJson('mqa-tied/config.json'))).toMatchObject({
      numKvHeads: 1,
      tieWordEmbeddings: true,
      rope: { kind: 'default', theta: 500_000 },
    })
  })
})

describe('defaults', () => {
  test('are those of transformers', () => {
    expect(readLlamaConfig(minimal)).toMatchObject({
      numKvHeads: 4,
      headDim: 16,
      maxSeqLen: 2048,
      normEps: 1e-6,
      rope: { kind: 'default', theta: 10_000 },
      tieWordEmbeddings: false,
      qkvBias: false,
      outputBias: false,
      mlpBias: false,
    })
  })

  test('also stand for null', () => {
    const nulls = { num_key_value_heads: null, head_dim: null, rope_scaling: null, tie_word_embeddings: null }
    expect(readLlamaConfig({ ...minimal, ...nulls })).toEqual(readLlamaConfig(minimal))
  })

  test.each([
    ['llama', 'LlamaForCausalLM'],
    ['mistral', 'MistralForCausalLM'],
    ['qwen2', 'Qwen2ForCausalLM'],
  ])('a model type %s will do where there are no architectures', (modelType, architecture) => {
    const { architectures: _, ...rest } = { ...minimal, num_key_value_heads: 4 }
    expect(readLlamaConfig({ ...rest, model_type: modelType })).toEqual(
      readLlamaConfig({ ...rest, architectures: [architecture] }),
    )
  })

  test.each([
    ['MistralForCausalLM', { maxSeqLen: 4096, numKvHeads: 8, qkvBias: false, outputBias: false }],
    ['Qwen2ForCausalLM', { maxSeqLen: 32_768, numKvHeads: 32, qkvBias: true, outputBias: false }],
  ])('of %s are its own', (architecture, expected) => {
    const json = { ...minimal, architectures: [architecture], num_attention_heads: 32, hidden_size: 128 }
    expect(readLlamaConfig(json)).toMatchObject({ ...expected, mlpBias: false })
    expect(readLlamaConfig({ ...json, num_key_value_heads: null }).numKvHeads).toBe(32)
  })

  test('fields that change nothing are ignored', () => {
    const ignored = { pretraining_tp: 4, sliding_window: 16, use_cache: false, attention_dropout: 0.1 }
    expect(readLlamaConfig({ ...minimal, ...ignored })).toEqual(readLlamaConfig(minimal))
  })
})

describe('sliding windows', () => {
  const mistral = { ...minimal, architectures: ['MistralForCausalLM'], num_key_value_heads: 4 }
  const qwen2 = { ...mistral, architectures: ['Qwen2ForCausalLM'], max_position_embeddings: 1024 }
  const sliding = { use_sliding_window: true, sliding_window: 256 }

  test.each([
    ['Mistral: a window shorter than the context', { sliding_window: 512 }, 512],
    ['Mistral: a window as long', { sliding_window: 1024 }, 1024],
    ['Mistral: a longer window', { sliding_window: 4096 }, 1024],
    ['Mistral: null, which is none', { sliding_window: null }, 1024],
    ['Mistral: absent, which is 4096', { max_position_embeddings: 32_768 }, 4096],
    ['Mistral: null and a long context', { sliding_window: null, max_position_embeddings: 32_768 }, 32_768],
  ])('%s', (_name, fields, maxSeqLen) => {
    const json = { ...mistral, max_position_embeddings: 1024, ...fields }
    expect(readLlamaConfig(json).maxSeqLen).toBe(maxSeqLen)
  })

  test.each([
    ['Qwen2: not in use', { use_sliding_window: false, sliding_window: 256 }, 1024],
    ['Qwen2: in use from a layer that there is', { ...sliding, max_window_layers: 1 }, 256],
    ['Qwen2: in use in every layer', { ...sliding, max_window_layers: 0 }, 256],
    ['Qwen2: in use beyond the last layer', { ...sliding, max_window_layers: 2 }, 1024],
    ['Qwen2: in use beyond the default of 28 layers', sliding, 1024],
    ['Qwen2: in use, but null', { ...sliding, sliding_window: null, max_window_layers: 0 }, 1024],
    [
      'Qwen2: layer types, which win',
      { ...sliding, max_window_layers: 2, layer_types: ['full_attention', 'sliding_attention'] },
      256,
    ],
    [
      'Qwen2: layer types without any',
      { ...sliding, max_window_layers: 0, layer_types: ['full_attention', 'full_attention'] },
      1024,
    ],
  ])('%s', (_name, fields, maxSeqLen) => {
    expect(readLlamaConfig({ ...qwen2, ...fields }).maxSeqLen).toBe(maxSeqLen)
  })

  test.each([
    ['sliding_window', { ...mistral, sliding_window: 0 }],
    ['sliding_window', { ...qwen2, ...sliding, max_window_layers: 0, sliding_window: '256' }],
    ['max_window_layers', { ...qwen2, ...sliding, max_window_layers: -1 }],
    ['use_sliding_window', { ...qwen2, use_sliding_window: 1 }],
    ['layer_types', { ...qwen2, ...sliding, layer_types: 'full_attention' }],
  ])('a wrong %s is named', (field, json) => {
    const fault = faultOf(json)
    expect(fault.code).toBe('model/config')
    expect(fault.where).toBe(`config.json ${field}`)
  })
})

describe('rotary spellings', () => {
  const llama3 = {
    factor: 8,
    low_freq_factor: 1,
    high_freq_factor: 4,
    original_max_position_embeddings: 8192,
  }
  const expected = {
    kind: 'llama3',
    theta: 500_000,
    factor: 8,
    lowFreqFactor: 1,
    highFreqFactor: 4,
    originalMaxSeqLen: 8192,
  }

  test.each([
    ['version 5', { rope_parameters: { rope_theta: 500_000, rope_type: 'llama3', ...llama3 } }],
    ['version 4', { rope_theta: 500_000, rope_scaling: { rope_type: 'llama3', ...llama3 } }],
    ['version 4 before rope_type', { rope_theta: 500_000, rope_scaling: { type: 'llama3', ...llama3 } }],
    ['a mixture', { rope_theta: 500_000, rope_parameters: { rope_type: 'llama3', ...llama3 } }],
    [
      'version 5, which wins over a stale theta',
      { rope_theta: 1, rope_parameters: { rope_theta: 500_000, rope_type: 'llama3', ...llama3 } },
    ],
    [
      'version 5, which wins over a stale scaling',
      {
        rope_scaling: { rope_type: 'llama3', ...llama3, factor: 2 },
        rope_parameters: { rope_theta: 500_000, rope_type: 'llama3', ...llama3 },
      },
    ],
  ])('%s', (_name, fields) => {
    expect(readLlamaConfig({ ...minimal, ...fields }).rope).toEqual(expected)
  })

  test.each(['longrope', 'su', 'mrope', 7])('%s scaling is not supported, and says so', (kind) => {
    const fault = faultOf({ ...minimal, rope_scaling: { rope_type: kind, factor: 2 } })
    expect(fault.code).toBe('model/unsupported')
    expect(fault.message).toContain(JSON.stringify(kind))
  })

  test.each([{ partial_rotary_factor: 0.5 }, { rope_parameters: { partial_rotary_factor: 0.5 } }])(
    'heads rotated in part are not supported: %j',
    (fields) => {
      const fault = faultOf({ ...minimal, ...fields })
      expect(fault.code).toBe('model/unsupported')
      expect(fault.where).toBe('config.json partial_rotary_factor')
    },
  )

  describe('yarn', () => {
    const yarn = { rope_type: 'yarn', factor: 4, original_max_position_embeddings: 512 }
    const read = (scaling: Record<string, unknown>, fields: Record<string, unknown> = {}): RopeConfig =>
      readLlamaConfig({ ...minimal, rope_scaling: { ...yarn, ...scaling }, ...fields }).rope

    test('has the defaults of transformers', () => {
      expect(read({})).toEqual({
        kind: 'yarn',
        theta: 10_000,
        factor: 4,
        originalMaxSeqLen: 512,
        betaFast: 32,
        betaSlow: 1,
        truncate: true,
        attentionFactor: 0.1 * Math.log(4) + 1,
      })
      expect(read({ beta_fast: 0, beta_slow: null, attention_factor: null, mscale: 0 })).toEqual(read({}))
    })

    test('reads every field', () => {
      const all = { beta_fast: 16, beta_slow: 2, truncate: false, attention_factor: 1.5 }
      expect(read(all)).toMatchObject({ betaFast: 16, betaSlow: 2, truncate: false, attentionFactor: 1.5 })
    })

    test.each([
      [{ factor: 0.5 }, 1],
      [{ mscale: 2 }, 0.1 * Math.log(4) + 1],
      [{ mscale: 2, mscale_all_dim: 0 }, 0.1 * Math.log(4) + 1],
      [{ mscale: 2, mscale_all_dim: 1 }, (0.2 * Math.log(4) + 1) / (0.1 * Math.log(4) + 1)],
      [{ mscale: 2, mscale_all_dim: 1, attention_factor: 1.1 }, 1.1],
    ])('%j scales cosines and sines by %d', (scaling, attentionFactor) => {
      expect(read(scaling)).toMatchObject({ attentionFactor })
    })

    test('a factor of null is the ratio of the two lengths', () => {
      expect(read({ factor: null }, { max_position_embeddings: 4096 })).toMatchObject({ factor: 8 })
    })

    test('the original length beside the scaling wins, and may be max_position_embeddings', () => {
      expect(read({}, { original_max_position_embeddings: 256 })).toMatchObject({ originalMaxSeqLen: 256 })
      expect(read({ original_max_position_embeddings: undefined })).toMatchObject({ originalMaxSeqLen: 2048 })
    })
  })

  test.each([
    ['linear', { factor: 4 }, 4096],
    ['dynamic', { factor: 2.5 }, 2560],
    ['dynamic', { factor: 0.5 }, 1024],
    ['yarn', { factor: 4, original_max_position_embeddings: 256 }, 1024],
    ['yarn', { factor: 4, original_max_position_embeddings: 1024 }, 4096],
    ['yarn', { factor: 4 }, 4096],
    ['llama3', llama3, 1024],
  ])('a model of 1024 positions with %s and %j is for sequences of up to %d', (kind, scaling, maxSeqLen) => {
    const json = { ...minimal, max_position_embeddings: 1024, rope_scaling: { rope_type: kind, ...scaling } }
    expect(readLlamaConfig(json).maxSeqLen).toBe(maxSeqLen)
  })

  test.each([
    ['rope_theta', { rope_theta: 0 }],
    ['rope_theta', { rope_theta: '10000' }],
    ['rope_scaling', { rope_scaling: 'llama3' }],
    ['rope_parameters', { rope_parameters: [] }],
    ['factor', { rope_scaling: { ...llama3, rope_type: 'llama3', factor: undefined } }],
    ['factor', { rope_scaling: { rope_type: 'linear' } }],
    ['factor', { rope_scaling: { rope_type: 'dynamic', factor: 1e300 } }],
    ['rope_theta', { rope_theta: 1, rope_scaling: { rope_type: 'yarn', factor: 2 } }],
    ['beta_fast', { rope_scaling: { rope_type: 'yarn', factor: 2, beta_fast: -1 } }],
    ['mscale', { rope_scaling: { rope_type: 'yarn', factor: 2, mscale: '1' } }],
    ['attention_factor', { rope_scaling: { rope_type: 'yarn', factor: 2, attention_factor: 0 } }],
    ['truncate', { rope_scaling: { rope_type: 'yarn', factor: 2, truncate: 1 } }],
    [
      'original_max_position_embeddings',
      { rope_scaling: { rope_type: 'yarn', factor: 2, original_max_position_embeddings: 0.5 } },
    ],
    ['factor', { rope_scaling: { ...llama3, rope_type: 'llama3', factor: -8 } }],
    ['high_freq_factor', { rope_scaling: { ...llama3, rope_type: 'llama3', high_freq_factor: 1 } }],
    ['low_freq_factor', { rope_scaling: { ...llama3, rope_type: 'llama3', low_freq_factor: null } }],
  ])('a wrong %s is named', (field, fields) => {
    const fault = faultOf({ ...minimal, ...fields })
    expect(fault.code).toBe('model/config')
    expect(fault.where).toBe(`config.json ${field}`)
  })
})

describe('faults', () => {
  test('read as sentences', () => {
    expect(faultOf({ ...minimal, hidden_size: '64' }).message).toMatchInlineSnapshot(
      `"[model/config] config.json hidden_size: expected an integer from 1 to 67108864, got "64". Use the config.json that came with the weights."`,
    )
    expect(faultOf({ ...minimal, architectures: ['BertModel'] }).message).toMatchInlineSnapshot(
      `"[model/unsupported] config.json architectures: expected LlamaForCausalLM, MistralForCausalLM or Qwen2ForCausalLM, got ["BertModel"]. Use a checkpoint of a supported architecture."`,
    )
  })

  test.each([
    ['vocab_size', undefined],
    ['vocab_size', 0],
    ['vocab_size', 1.5],
    ['vocab_size', 2 ** 26 + 1],
    ['hidden_size', null],
    ['hidden_size', -64],
    ['intermediate_size', '128'],
    ['num_hidden_layers', Infinity],
    ['num_attention_heads', [4]],
    ['num_key_value_heads', 3],
    ['num_key_value_heads', 8],
    ['head_dim', 15],
    ['max_position_embeddings', 0],
    ['rms_norm_eps', 0],
    ['rms_norm_eps', '1e-6'],
    ['hidden_act', 'gelu'],
    ['hidden_act', 'gelu_pytorch_tanh'],
    ['hidden_act', 'relu2'],
    ['tie_word_embeddings', 'true'],
    ['attention_bias', 1],
    ['mlp_bias', {}],
  ])('%s = %j is refused by name', (field, value) => {
    const fault = faultOf({ ...minimal, [field]: value })
    expect(fault.code).toBe('model/config')
    expect(fault.where).toBe(`config.json ${field}`)
  })

  test('a quantised checkpoint is not supported, and says how it is quantised', () => {
    const quantised = faultOf({ ...minimal, quantization_config: { quant_method: 'gptq', bits: 4 } })
    expect(quantised.code).toBe('model/unsupported')
    expect(quantised.message).toMatchInlineSnapshot(
      `"[model/unsupported] config.json quantization_config: expected weights in f32, f16 or bf16, got "gptq". Use the checkpoint that was not quantised."`,
    )
    expect(faultOf({ ...minimal, quantization_config: {} }).code).toBe('model/unsupported')
    expect(readLlamaConfig({ ...minimal, quantization_config: null })).toEqual(readLlamaConfig(minimal))
  })

  test('a hidden size that its heads do not divide needs a head_dim', () => {
    expect(faultOf({ ...minimal, hidden_size: 66 }).where).toBe('config.json head_dim')
    expect(readLlamaConfig({ ...minimal, hidden_size: 66, head_dim: 16 })).toMatchObject({
      hiddenSize: 66,
      headDim: 16,
    })
  })

  test('the largest counts are accepted', () => {
    expect(readLlamaConfig({ ...minimal, vocab_size: 2 ** 26 }).vocabSize).toBe(2 ** 26)
  })

  test.each([[['GPTJForCausalLM']], [[]], ['LlamaForCausalLM'], [undefined]])(
    'architectures %j are not supported',
    (architectures) => {
      expect(faultOf({ ...minimal, architectures }).code).toBe('model/unsupported')
    },
  )
})

test('any JSON object either reads or ends in a model/* fault', () => {
  const fields = [
    'vocab_size',
    'hidden_size',
    'intermediate_size',
    'num_hidden_layers',
    'num_attention_heads',
    'num_key_value_heads',
    'head_dim',
    'max_position_embeddings',
    'rms_norm_eps',
    'rope_theta',
    'rope_scaling',
    'rope_parameters',
    'hidden_act',
    'tie_word_embeddings',
    'attention_bias',
    'mlp_bias',
    'model_type',
    'architectures',
    'sliding_window',
    'use_sliding_window',
    'max_window_layers',
    'layer_types',
    'quantization_config',
  ]
  const numbers = fc.oneof(fc.constantFrom(0, 1, 2, 4, 64, 1e300, -1, 0.5), fc.integer(), fc.double())
  const rope = fc.dictionary(
    fc.constantFrom(
      'rope_type',
      'type',
      'factor',
      'rope_theta',
      'low_freq_factor',
      'high_freq_factor',
      'mscale',
    ),
    fc.oneof(numbers, fc.constantFrom('llama3', 'default', 'linear', 'dynamic', 'yarn')),
  )
  const architectures = fc.constantFrom(['MistralForCausalLM'], ['Qwen2ForCausalLM'])
  const value = fc.oneof(numbers, fc.jsonValue(), fc.boolean(), rope, architectures)
  const change = fc.dictionary(fc.constantFrom(...fields), value, { maxKeys: 4 })
  const outcome = (json: Record<string, unknown>): string => {
    try {
      readLlamaConfig(json)
      return 'read'
    } catch (error) {
      return error instanceof RuntimeFault ? error.code : String(error)
    }
  }
  const seen = new Set<string>()
  fc.assert(
    fc.property(change, fc.boolean(), (changed, isWhole) => {
      const result = outcome(isWhole ? { ...minimal, ...changed } : changed)
      expect(result).toMatch(/^(?:read|model\/\w+)$/)
      seen.add(result)
    }),
    { numRuns: 2000 },
  )
  expect([...seen].sort()).toEqual(['model/config', 'model/unsupported', 'read'])
})
