// config.json of a Llama, Mistral or Qwen2 → our configuration, checked field by field: the three are the same blocks
// with other biases and defaults. Reads the spellings of transformers 4 (rope_theta, rope_scaling) and 5
// (rope_parameters).

import { architectureOf, type Architecture } from '../shared/architecture.ts'
import {
  configFault,
  readCount,
  readFlag,
  readIndex,
  readNumber,
  unsupported,
  type JsonObject,
} from '../shared/configFields.ts'
import type { LlmConfig } from '../spec.ts'
import { readRope, ropeMaxSeqLen, type RopeConfig } from './ropeConfig.ts'

export interface LlamaConfig extends LlmConfig {
  readonly hiddenSize: number
  readonly intermediateSize: number
  readonly numHeads: number
  readonly numKvHeads: number
  readonly headDim: number
  readonly normEps: number
  readonly rope: RopeConfig
  readonly tieWordEmbeddings: boolean
  /** Biases of the query, key and value projections. */
  readonly qkvBias: boolean
  /** Bias of the attention's output projection. */
  readonly outputBias: boolean
  readonly mlpBias: boolean
}

type Biases = Pick<LlamaConfig, 'qkvBias' | 'outputBias' | 'mlpBias'>

/** What transformers assumes where config.json is silent. */
interface Variant extends Architecture {
  readonly maxPositions: number
  /** undefined: as many as query heads. */
  readonly numKvHeads: number | undefined
  biases(json: JsonObject): Biases
  /** Tokens that a token attends to, itself included, in the layers that see least. */
  slidingWindow(json: JsonObject): number | undefined
}

const variants: readonly Variant[] = [
  {
    architecture: 'LlamaForCausalLM',
    modelType: 'llama',
    maxPositions: 2048,
    numKvHeads: undefined,
    biases(json) {
      const attentionBias = readFlag(json, 'attention_bias')
      return { qkvBias: attentionBias, outputBias: attentionBias, mlpBias: readFlag(json, 'mlp_bias') }
    },
    slidingWindow: () => undefined,
  },
  {
    architecture: 'MistralForCausalLM',
    modelType: 'mistral',
    maxPositions: 131_072,
    numKvHeads: 8,
    biases: () => ({ qkvBias: false, outputBias: false, mlpBias: false }),
    slidingWindow: readWindow,
  },
  {
    architecture: 'Qwen2ForCausalLM',
    modelType: 'qwen2',
    maxPositions: 32_768,
    numKvHeads: 32,
    biases: () => ({ qkvBias: true, outputBias: false, mlpBias: false }),
    slidingWindow(json) {
      if (!readFlag(json, 'use_sliding_window') || !hasSlidingLayers(json)) return undefined
      return readWindow(json)
    },
  },
]

export const llamaArchitectures: readonly Architecture[] = variants

/** Eight times those of the largest Llama. Planning takes time for each, and a file can claim any number. */
const maxLayers = 1024

/** Absent means 4096, null means none. */
function readWindow(json: JsonObject): number | undefined {
  return json['sliding_window'] === null ? undefined : readCount(json, 'sliding_window', 4096)
}

function hasSlidingLayers(json: JsonObject): boolean {
  const layerTypes = json['layer_types'] ?? undefined
  if (layerTypes === undefined)
    return readIndex(json, 'max_window_layers', 28) < readCount(json, 'num_hidden_layers')
  if (!Array.isArray(layerTypes)) throw configFault('layer_types', 'an array', layerTypes)
  return layerTypes.includes('sliding_attention')
}

/** Throws model/unsupported for another architecture, model/config for a field that cannot be. */
export function readLlamaConfig(json: JsonObject): LlamaConfig {
  const variant = architectureOf(json, variants)
  refuseQuantised(json)
  if (json['hidden_act'] !== undefined && json['hidden_act'] !== 'silu') {
    throw configFault('hidden_act', '"silu"', json['hidden_act'])
  }
  const hiddenSize = readCount(json, 'hidden_size')
  const numHeads = readCount(json, 'num_attention_heads')
  const absentKvHeads = json['num_key_value_heads'] === undefined ? variant.numKvHeads : undefined
  const numKvHeads = readCount(json, 'num_key_value_heads', absentKvHeads ?? numHeads)
  if (numHeads % numKvHeads !== 0)
    throw configFault('num_key_value_heads', `a divisor of ${numHeads}`, numKvHeads)
  const headDim = readCount(json, 'head_dim', hiddenSize / numHeads)
  if (headDim % 2 !== 0) throw configFault('head_dim', 'an even number', headDim)
  const maxPositions = readCount(json, 'max_position_embeddings', variant.maxPositions)
  const rope = readRope(json, maxPositions)
  // Sequences no longer than the sliding window see all of it, so full attention is the same there.
  const maxSeqLen = Math.min(ropeMaxSeqLen(rope, maxPositions), variant.slidingWindow(json) ?? Infinity)
  return {
    vocabSize: readCount(json, 'vocab_size'),
    hiddenSize,
    intermediateSize: readCount(json, 'intermediate_size'),
    numLayers: readCount(json, 'num_hidden_layers', undefined, maxLayers),
    numHeads,
    numKvHeads,
    headDim,
    maxSeqLen,
    defaultMaxSeqLen: rope.kind === 'dynamic' ? Math.min(rope.originalMaxSeqLen, maxSeqLen) : maxSeqLen,
    normEps: readNumber(json, 'rms_norm_eps', 1e-6),
    rope,
    tieWordEmbeddings: readFlag(json, 'tie_word_embeddings'),
    ...variant.biases(json),
  }
}

function refuseQuantised(json: JsonObject): void {
  const quantisation = json['quantization_config'] ?? undefined
  if (quantisation === undefined) return
  const method =
    typeof quantisation === 'object' && 'quant_method' in quantisation
      ? quantisation.quant_method
      : quantisation
  throw unsupported(
    'quantization_config',
    'weights in f32, f16 or bf16',
    method,
    'Use the checkpoint that was not quantised.',
  )
}
