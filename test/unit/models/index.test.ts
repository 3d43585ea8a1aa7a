// The registry: which configurations it knows, and that what it gives is the family's. Fields are tested in config.test.ts.

import { describe, expect, test } from 'vitest'
import { readLlmSpec } from '../../../src/models/index.ts'
import { readLlamaConfig } from '../../../src/models/llama/config.ts'

const json = {
  architectures: ['Qwen2ForCausalLM'],
  vocab_size: 100,
  hidden_size: 64,
  intermediate_size: 128,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  num_key_value_heads: 2,
}

describe('an architecture', () => {
  test.each([
    ['LlamaForCausalLM', 'llama', 2048],
    ['MistralForCausalLM', 'mistral', 4096],
    ['Qwen2ForCausalLM', 'qwen2', 32_768],
  ])('%s is known by its class, or by its model type', (architecture, modelType, maxSeqLen) => {
    const { config } = readLlmSpec({ ...json, architectures: ['Other', architecture] })
    expect(config).toMatchObject({ vocabSize: 100, numLayers: 2, maxSeqLen })
    expect(readLlmSpec({ ...json, architectures: undefined, model_type: modelType }).config).toEqual(config)
  })

  test.each([
    [{ architectures: ['GPTJForCausalLM'] }, '["GPTJForCausalLM"]'],
    [{ architectures: [], model_type: 'llama' }, '[]'],
    [{ architectures: undefined, model_type: 'gptj' }, '"gptj"'],
    [{ architectures: undefined }, 'nothing'],
  ])('%j is a model/unsupported fault that lists those that are', (fields, got) => {
    expect(() => readLlmSpec({ ...json, ...fields })).toThrow(
      `[model/unsupported] config.json architectures: expected LlamaForCausalLM, MistralForCausalLM or Qwen2ForCausalLM, got ${got}. Use a checkpoint of a supported architecture.`,
    )
  })
})

test('what it gives is of the configuration', () => {
  const spec = readLlmSpec(json)
  expect(spec.config).toEqual(readLlamaConfig(json))
  // Two heads of 16 numbers for each of 8 tokens; a width of 8 is even, so halves can be stored.
  expect(spec.kvBlockBytes({ dtype: 'f16', blockSize: 8 })).toBe(2 * 16 * 8 * 2)
  expect(spec.kvBlockBytes({ dtype: 'f32', blockSize: 8 })).toBe(2 * 16 * 8 * 4)
  expect(spec.telltaleWeights()).toContainEqual({
    kind: 'tensor',
    name: 'model.layers.1.mlp.down_proj.weight',
    shape: [64, 128],
  })
  expect(Object.fromEntries(spec.describe())).toMatchObject({
    heads: '4 of 16, 2 for keys and values',
    context: '32768 tokens',
    also: 'query, key and value biases',
  })
  const sizes = { maxSeqLen: 32, blockSize: 8, numBlocks: 4, maxNumSeqs: 1 }
  const graph = spec.graph({ dtype: 'f32', ...sizes, head: 'logits' })
  const cache = graph.states.find(({ name }) => name === 'layers.1.k_cache')
  expect(cache?.shape).toEqual([4, 2, 8, 16])
  expect(graph.outputs).toHaveProperty('logits')
})
