// Reading a Llama's config.json: the files that transformers 4 and 5 wrote, defaults, and every field that can be wrong.

import { readFileSync, readdirSync } from 'node:fs'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { RuntimeFault } from '../../../src/core/errors.ts'
import { readLlamaConfig } from '../../../src/models/llama/config.ts'
import { fixturesDir } from '../../helpers/dirs.ts'

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
    expect(models).toEqual(['gqa', 'gqa-sharded', 'llama3-biases', 'mha', 'mqa-tied'])
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
      normEps: 1e-6,
      rope: { kind: 'default', theta: 10_000 },
      tieWordEmbeddings: false,
      attentionBias: false,
      mlpBias: false,
    })
  })

  test('llama3-biases has scaled frequencies, biases and heads wider than the hidden size suggests', () => {
    expect(readLlamaConfig(readJson('llama3-biases/config.json'))).toMatchObject({
      hiddenSize: 60,
      numHeads: 4,
      headDim: 16,
      attentionBias: true,
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
      attentionBias: false,
      mlpBias: false,
    })
  })

  test('also stand for null', () => {
    const nulls = { num_key_value_heads: null, head_dim: null, rope_scaling: null, tie_word_embeddings: null }
    expect(readLlamaConfig({ ...minimal, ...nulls })).toEqual(readLlamaConfig(minimal))
  })

  test('a model type will do where there are no architectures', () => {
    const { architectures: _, ...rest } = minimal
    expect(readLlamaConfig({ ...rest, model_type: 'llama' })).toEqual(readLlamaConfig(minimal))
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

  test.each(['linear', 'dynamic', 'yarn', 'longrope', 7])(
    '%s scaling is not supported, and says so',
    (kind) => {
      const fault = faultOf({ ...minimal, rope_scaling: { rope_type: kind, factor: 2 } })
      expect(fault.code).toBe('model/unsupported')
      expect(fault.message).toContain(JSON.stringify(kind))
    },
  )

  test.each([
    ['rope_theta', { rope_theta: 0 }],
    ['rope_theta', { rope_theta: '10000' }],
    ['rope_scaling', { rope_scaling: 'llama3' }],
    ['rope_parameters', { rope_parameters: [] }],
    ['factor', { rope_scaling: { ...llama3, rope_type: 'llama3', factor: undefined } }],
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
      `"[model/unsupported] config.json architectures: expected LlamaForCausalLM, got ["BertModel"]. Use a checkpoint of a supported architecture."`,
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
    ['tie_word_embeddings', 'true'],
    ['attention_bias', 1],
    ['mlp_bias', {}],
  ])('%s = %j is refused by name', (field, value) => {
    const fault = faultOf({ ...minimal, [field]: value })
    expect(fault.code).toBe('model/config')
    expect(fault.where).toBe(`config.json ${field}`)
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
  ]
  const numbers = fc.oneof(fc.constantFrom(0, 1, 2, 4, 64, 1e300, -1, 0.5), fc.integer(), fc.double())
  const rope = fc.dictionary(
    fc.constantFrom('rope_type', 'type', 'factor', 'rope_theta', 'low_freq_factor', 'high_freq_factor'),
    fc.oneof(numbers, fc.constantFrom('llama3', 'default')),
  )
  const value = fc.oneof(numbers, fc.jsonValue(), fc.boolean(), rope)
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
