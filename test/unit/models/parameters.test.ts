// The size of real models of the Llama family from the weight shapes of their graphs, and the names that a checkpoint must have.

import { describe, expect, test } from 'vitest'
import type { Graph } from '../../../src/graph/graph.ts'
import { exprTensors } from '../../../src/graph/weightExpr.ts'
import { readLlamaConfig } from '../../../src/models/llama/config.ts'
import { inferencePasses, runPasses } from '../../../src/passes/index.ts'
import { tinyLlama } from './tinyLlama.ts'

/** Checkpoint tensors that the graph reads, by name. */
function tensorsOf(graph: Graph): Map<string, readonly number[]> {
  const read = graph.values.flatMap(({ source }) =>
    source.kind === 'weight' ? exprTensors(source.expr) : [],
  )
  return new Map(read.map(({ name, shape }) => [name, shape]))
}

function numParameters(graph: Graph): number {
  const sizes = [...tensorsOf(graph).values()].map((shape) =>
    shape.reduce((product, dim) => product * dim, 1),
  )
  return sizes.reduce((sum, size) => sum + size, 0)
}

/** config.json of real checkpoints: the fields that shape the model, and the number of parameters. */
const checkpoints = {
  'Llama-2-7b': {
    count: 6_738_415_616,
    json: {
      architectures: ['LlamaForCausalLM'],
      vocab_size: 32_000,
      hidden_size: 4096,
      intermediate_size: 11_008,
      num_hidden_layers: 32,
      num_attention_heads: 32,
      num_key_value_heads: 32,
      max_position_embeddings: 4096,
      rms_norm_eps: 1e-5,
      hidden_act: 'silu',
      pretraining_tp: 1,
      rope_scaling: null,
      tie_word_embeddings: false,
      torch_dtype: 'float16',
    },
  },
  'Llama-2-13b': {
    count: 13_015_864_320,
    json: {
      architectures: ['LlamaForCausalLM'],
      vocab_size: 32_000,
      hidden_size: 5120,
      intermediate_size: 13_824,
      num_hidden_layers: 40,
      num_attention_heads: 40,
      num_key_value_heads: 40,
      max_position_embeddings: 4096,
      rms_norm_eps: 1e-5,
      hidden_act: 'silu',
      pretraining_tp: 1,
      rope_scaling: null,
      tie_word_embeddings: false,
      torch_dtype: 'float16',
    },
  },
  'Llama-2-70b': {
    count: 68_976_648_192,
    json: {
      architectures: ['LlamaForCausalLM'],
      vocab_size: 32_000,
      hidden_size: 8192,
      intermediate_size: 28_672,
      num_hidden_layers: 80,
      num_attention_heads: 64,
      num_key_value_heads: 8,
      max_position_embeddings: 4096,
      rms_norm_eps: 1e-5,
      hidden_act: 'silu',
      pretraining_tp: 1,
      rope_scaling: null,
      tie_word_embeddings: false,
      torch_dtype: 'float16',
    },
  },
  'TinyLlama-1.1B': {
    count: 1_100_048_384,
    json: {
      architectures: ['LlamaForCausalLM'],
      attention_bias: false,
      vocab_size: 32_000,
      hidden_size: 2048,
      intermediate_size: 5632,
      num_hidden_layers: 22,
      num_attention_heads: 32,
      num_key_value_heads: 4,
      max_position_embeddings: 2048,
      rms_norm_eps: 1e-5,
      hidden_act: 'silu',
      pretraining_tp: 1,
      rope_scaling: null,
      rope_theta: 10_000,
      tie_word_embeddings: false,
      torch_dtype: 'bfloat16',
    },
  },
  'SmolLM2-135M': {
    count: 134_515_008,
    json: {
      architectures: ['LlamaForCausalLM'],
      attention_bias: false,
      mlp_bias: false,
      vocab_size: 49_152,
      hidden_size: 576,
      intermediate_size: 1536,
      num_hidden_layers: 30,
      num_attention_heads: 9,
      num_key_value_heads: 3,
      max_position_embeddings: 8192,
      rms_norm_eps: 1e-5,
      hidden_act: 'silu',
      pretraining_tp: 1,
      rope_interleaved: false,
      rope_scaling: null,
      rope_theta: 100_000,
      tie_word_embeddings: true,
      torch_dtype: 'bfloat16',
    },
  },
  'Llama-3.2-1B': {
    count: 1_235_814_400,
    json: {
      architectures: ['LlamaForCausalLM'],
      attention_bias: false,
      mlp_bias: false,
      vocab_size: 128_256,
      hidden_size: 2048,
      intermediate_size: 8192,
      num_hidden_layers: 16,
      num_attention_heads: 32,
      num_key_value_heads: 8,
      head_dim: 64,
      max_position_embeddings: 131_072,
      rms_norm_eps: 1e-5,
      hidden_act: 'silu',
      pretraining_tp: 1,
      rope_scaling: {
        factor: 32,
        high_freq_factor: 4,
        low_freq_factor: 1,
        original_max_position_embeddings: 8192,
        rope_type: 'llama3',
      },
      rope_theta: 500_000,
      tie_word_embeddings: true,
      torch_dtype: 'bfloat16',
    },
  },
  'Mistral-7B-v0.1': {
    count: 7_241_732_096,
    json: {
      architectures: ['MistralForCausalLM'],
      vocab_size: 32_000,
      hidden_size: 4096,
      intermediate_size: 14_336,
      num_hidden_layers: 32,
      num_attention_heads: 32,
      num_key_value_heads: 8,
      max_position_embeddings: 32_768,
      rms_norm_eps: 1e-5,
      hidden_act: 'silu',
      rope_theta: 10_000,
      sliding_window: 4096,
      tie_word_embeddings: false,
      torch_dtype: 'bfloat16',
    },
  },
  'Qwen2-0.5B': {
    count: 494_032_768,
    json: {
      architectures: ['Qwen2ForCausalLM'],
      vocab_size: 151_936,
      hidden_size: 896,
      intermediate_size: 4864,
      num_hidden_layers: 24,
      num_attention_heads: 14,
      num_key_value_heads: 2,
      max_position_embeddings: 131_072,
      max_window_layers: 24,
      rms_norm_eps: 1e-6,
      hidden_act: 'silu',
      rope_theta: 1_000_000,
      sliding_window: 131_072,
      tie_word_embeddings: true,
      torch_dtype: 'bfloat16',
      use_sliding_window: false,
    },
  },
} as const

const llama7b = readLlamaConfig(checkpoints['Llama-2-7b'].json)

describe('the number of parameters', () => {
  test.each(Object.entries(checkpoints))('of %s, before and after the passes', (_name, { json, count }) => {
    const graph = tinyLlama(readLlamaConfig(json))
    expect(numParameters(graph)).toBe(count)
    expect(numParameters(runPasses(graph, inferencePasses))).toBe(count)
  })

  test('is less by one matrix where embeddings are tied', () => {
    const tied = tinyLlama({ ...llama7b, tieWordEmbeddings: true })
    expect(numParameters(tied)).toBe(6_738_415_616 - 32_000 * 4096)
    expect(tensorsOf(tied).has('lm_head.weight')).toBe(false)
  })
})

test('a layer reads the tensors that a Hugging Face checkpoint holds', () => {
  const graph = tinyLlama({ numLayers: 1, qkvBias: true, outputBias: true, mlpBias: true })
  const lines = [...tensorsOf(graph)].map(([name, shape]) => `${name} [${shape.join(', ')}]`)
  expect(`\n${lines.sort().join('\n')}\n`).toMatchInlineSnapshot(`
    "
    lm_head.weight [24, 16]
    model.embed_tokens.weight [24, 16]
    model.layers.0.input_layernorm.weight [16]
    model.layers.0.mlp.down_proj.bias [16]
    model.layers.0.mlp.down_proj.weight [16, 20]
    model.layers.0.mlp.gate_proj.bias [20]
    model.layers.0.mlp.gate_proj.weight [20, 16]
    model.layers.0.mlp.up_proj.bias [20]
    model.layers.0.mlp.up_proj.weight [20, 16]
    model.layers.0.post_attention_layernorm.weight [16]
    model.layers.0.self_attn.k_proj.bias [8]
    model.layers.0.self_attn.k_proj.weight [8, 16]
    model.layers.0.self_attn.o_proj.bias [16]
    model.layers.0.self_attn.o_proj.weight [16, 16]
    model.layers.0.self_attn.q_proj.bias [16]
    model.layers.0.self_attn.q_proj.weight [16, 16]
    model.layers.0.self_attn.v_proj.bias [8]
    model.layers.0.self_attn.v_proj.weight [8, 16]
    model.norm.weight [16]
    "
  `)
})

test('a Qwen2 has biases on queries, keys and values only', () => {
  const names = [...tensorsOf(tinyLlama({ numLayers: 1, qkvBias: true })).keys()]
  expect(names.filter((name) => name.endsWith('bias')).sort()).toEqual([
    'model.layers.0.self_attn.k_proj.bias',
    'model.layers.0.self_attn.q_proj.bias',
    'model.layers.0.self_attn.v_proj.bias',
  ])
})

test('the window of Mistral-7B-v0.1 limits its sequences', () => {
  expect(readLlamaConfig(checkpoints['Mistral-7B-v0.1'].json).maxSeqLen).toBe(4096)
})

describe('dtypes', () => {
  const dtypeOf = (graph: Graph, name: string): string =>
    graph.values.find((value) => value.name === name)!.dtype

  test('f16 is of matrices, activations and caches; norms, residuals and logits stay f32', () => {
    const graph = tinyLlama({ qkvBias: true, outputBias: true }, { dtype: 'f16' })
    expect(dtypeOf(graph, 'model.layers.0.mlp.up_proj.weight')).toBe('f16')
    expect(dtypeOf(graph, 'layers.0.mlp.gated.y')).toBe('f16')
    expect(graph.states.map(({ dtype }) => dtype)).toEqual(['i32', 'f16', 'f16', 'f16', 'f16'])
    for (const name of [
      'model.norm.weight',
      'model.layers.0.self_attn.q_proj.bias',
      'layers.1.mlp.residual.y',
    ])
      expect(dtypeOf(graph, name)).toBe('f32')
    expect(dtypeOf(graph, 'lm_head.y')).toBe('f32')
  })

  test('f32 is of everything', () => {
    const graph = tinyLlama()
    expect(new Set(graph.values.map(({ dtype }) => dtype))).toEqual(new Set(['f32', 'i32']))
  })

  test('odd widths stay f32, since halves are stored in pairs', () => {
    const graph = tinyLlama({ intermediateSize: 21 }, { dtype: 'f16' })
    expect(dtypeOf(graph, 'layers.0.mlp.gated.y')).toBe('f32')
    expect(dtypeOf(graph, 'layers.0.input_norm.y')).toBe('f16')
  })
})
