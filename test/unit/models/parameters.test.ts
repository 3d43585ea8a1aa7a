// The size of real Llamas from the weight shapes of their graphs, and the names that a checkpoint must have.

import { describe, expect, test } from 'vitest'
import type { Graph } from '../../../src/graph/graph.ts'
import { exprTensors } from '../../../src/graph/weightExpr.ts'
import type { LlamaConfig } from '../../../src/models/llama/config.ts'
import { inferencePasses, runPasses } from '../../../src/passes/index.ts'
import { tinyConfig, tinyLlama } from './tinyLlama.ts'

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

const llama7b: LlamaConfig = {
  ...tinyConfig,
  vocabSize: 32_000,
  hiddenSize: 4096,
  intermediateSize: 11_008,
  numLayers: 32,
  numHeads: 32,
  numKvHeads: 32,
  headDim: 128,
}
const llama70b: LlamaConfig = {
  ...llama7b,
  hiddenSize: 8192,
  intermediateSize: 28_672,
  numLayers: 80,
  numHeads: 64,
  numKvHeads: 8,
}

describe('the number of parameters', () => {
  test.each([
    { name: '7B', config: llama7b, count: 6_738_415_616 },
    { name: '70B', config: llama70b, count: 68_976_648_192 },
  ])('of Llama 2 $name is $count, before and after the passes', ({ config, count }) => {
    const graph = tinyLlama(config)
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
  const graph = tinyLlama({ numLayers: 1, attentionBias: true, mlpBias: true })
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

describe('dtypes', () => {
  const dtypeOf = (graph: Graph, name: string): string =>
    graph.values.find((value) => value.name === name)!.dtype

  test('f16 is of matrices, activations and caches; norms, residuals and logits stay f32', () => {
    const graph = tinyLlama({ attentionBias: true }, { dtype: 'f16' })
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
