// Models of exact shapes with random weights, for measuring without a download. The weights are made on the device:
// randomWeights.ts.

import { bytesOf } from '../core/dtype.ts'
import { RuntimeFault } from '../core/errors.ts'
import type { DeviceTensors, WeightSource } from '../engine/loadWeights.ts'
import type { Graph } from '../graph/graph.ts'
import { exprTensors } from '../graph/weightExpr.ts'
import type { FloatDType } from '../graph/opDef.ts'
import { readLlmSpec } from '../models/index.ts'
import type { LlmSpec } from '../models/spec.ts'
import type { TensorInfo } from '../weights/checkpoint.ts'
import { writeRandom, type Distribution } from './randomWeights.ts'

/** What a benchmark needs of a model; a LoadedModel is one. */
export interface BenchModel {
  readonly name: string
  readonly spec: LlmSpec
  readonly checkpoint: WeightSource
}

interface Shapes {
  readonly hidden: number
  readonly layers: number
  readonly heads: number
  readonly kvHeads: number
  readonly ffn: number
  readonly vocab: number
  readonly context: number
  readonly isTied?: boolean
  readonly more?: Readonly<Record<string, unknown>>
}

/** 15m and 110m have the shapes of the llama2.c stories models, 1b those of Llama 3.2, the rest those of Llama 2. */
const presets: Readonly<Record<string, Shapes>> = {
  'llama-15m': {
    hidden: 288,
    layers: 6,
    heads: 6,
    kvHeads: 6,
    ffn: 768,
    vocab: 32_000,
    context: 2048,
    isTied: true,
  },
  'llama-110m': {
    hidden: 768,
    layers: 12,
    heads: 12,
    kvHeads: 12,
    ffn: 2048,
    vocab: 32_000,
    context: 2048,
    isTied: true,
  },
  'llama-1b': {
    hidden: 2048,
    layers: 16,
    heads: 32,
    kvHeads: 8,
    ffn: 8192,
    vocab: 128_256,
    context: 131_072,
    isTied: true,
    more: {
      rope_theta: 500_000,
      rope_scaling: {
        rope_type: 'llama3',
        factor: 32,
        low_freq_factor: 1,
        high_freq_factor: 4,
        original_max_position_embeddings: 8192,
      },
    },
  },
  'llama-2-7b': {
    hidden: 4096,
    layers: 32,
    heads: 32,
    kvHeads: 32,
    ffn: 11_008,
    vocab: 32_000,
    context: 4096,
  },
  'llama-2-70b': {
    hidden: 8192,
    layers: 80,
    heads: 64,
    kvHeads: 8,
    ffn: 28_672,
    vocab: 32_000,
    context: 4096,
  },
}

const prefix = 'synthetic:'

/** `synthetic:llama-15m` and its like. */
export const syntheticNames: readonly string[] = Object.keys(presets).map((name) => `${prefix}${name}`)

export function isSynthetic(model: string): boolean {
  return model.startsWith(prefix)
}

/** What a synthetic model is, with fewer or more layers if asked. Throws model/unsupported. */
export function syntheticSpec(model: string, layers?: number): LlmSpec {
  const shapes = presets[model.slice(prefix.length)]
  if (shapes === undefined || !isSynthetic(model)) {
    throw new RuntimeFault('model/unsupported', {
      where: model,
      expected: syntheticNames.join(', '),
      got: 'an unknown name',
      fix: 'Give one of these, or a model directory.',
    })
  }
  return readLlmSpec({
    architectures: ['LlamaForCausalLM'],
    vocab_size: shapes.vocab,
    hidden_size: shapes.hidden,
    intermediate_size: shapes.ffn,
    num_hidden_layers: layers ?? shapes.layers,
    num_attention_heads: shapes.heads,
    num_key_value_heads: shapes.kvHeads,
    max_position_embeddings: shapes.context,
    rms_norm_eps: 1e-5,
    tie_word_embeddings: shapes.isTied === true,
    ...shapes.more,
  })
}

export interface SyntheticOptions {
  /** Of the matrices; norms are f32, as plans keep them. */
  readonly dtype: FloatDType
  readonly layers?: number | undefined
  readonly seed?: number | undefined
}

export function syntheticModel(model: string, options: SyntheticOptions): BenchModel {
  const spec = syntheticSpec(model, options.layers)
  return { name: model, spec, checkpoint: randomTensors(model, spec, options) }
}

/** Random weights for any model. */
export function randomTensors(name: string, spec: LlmSpec, { dtype, seed }: SyntheticOptions): DeviceTensors {
  const graph = spec.graph({
    dtype,
    maxSeqLen: 1,
    blockSize: 1,
    numBlocks: 1,
    maxNumSeqs: 1,
    head: 'logits',
  })
  return syntheticTensors(name, graph, seed)
}

/** Random numbers for every tensor that the weights of a graph read, equal for equal seeds. */
export function syntheticTensors(name: string, graph: Graph, seed = 0): DeviceTensors {
  const tensors = new Map<string, TensorInfo>()
  for (const { source, dtype } of graph.values) {
    if (source.kind !== 'weight') continue
    for (const { name, shape } of exprTensors(source.expr)) {
      const bytes = shape.reduce((product, dim) => product * dim, bytesOf(dtype))
      tensors.set(name, { name, dtype, shape, bytes, file: 'synthetic' })
    }
  }
  return {
    name,
    tensors,
    write: (device, weights, options) => writeRandom(device, weights, { seed, distributionOf }, options),
  }
}

/** Norms scatter around one; matrices keep the size of what they multiply; embeddings are small, as in real models. */
function distributionOf({ name, shape }: Pick<TensorInfo, 'name' | 'shape'>): Distribution {
  if (shape.length === 1)
    return name.includes('norm') ? { mean: 1, deviation: 0.05 } : { mean: 0, deviation: 0.02 }
  if (name.includes('embed_tokens')) return { mean: 0, deviation: 0.02 }
  return { mean: 0, deviation: 1 / Math.sqrt(shape.at(-1)!) }
}
