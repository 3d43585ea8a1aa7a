// config.json of a LlamaForCausalLM → our configuration, checked field by field. Reads the spellings of
// transformers 4 (rope_theta, rope_scaling) and 5 (rope_parameters).

import { RuntimeFault } from '../../core/errors.ts'
import { configFault, readCount, readFlag, readNumber, type JsonObject } from '../shared/configFields.ts'
import { readRope, type RopeConfig } from './rope.ts'

export interface LlamaConfig {
  readonly vocabSize: number
  readonly hiddenSize: number
  readonly intermediateSize: number
  readonly numLayers: number
  readonly numHeads: number
  readonly numKvHeads: number
  readonly headDim: number
  readonly maxSeqLen: number
  readonly normEps: number
  readonly rope: RopeConfig
  readonly tieWordEmbeddings: boolean
  readonly attentionBias: boolean
  readonly mlpBias: boolean
}

/** Throws model/unsupported for another architecture, model/config for a field that cannot be. */
export function readLlamaConfig(json: JsonObject): LlamaConfig {
  const architectures = json['architectures']
  const isLlama = Array.isArray(architectures)
    ? architectures.includes('LlamaForCausalLM')
    : json['model_type'] === 'llama'
  if (!isLlama) {
    throw new RuntimeFault('model/unsupported', {
      where: 'config.json architectures',
      expected: 'LlamaForCausalLM',
      got: JSON.stringify(architectures ?? json['model_type']),
      fix: 'Use a checkpoint of a supported architecture.',
    })
  }
  if (json['hidden_act'] !== undefined && json['hidden_act'] !== 'silu') {
    throw configFault('hidden_act', '"silu"', json['hidden_act'])
  }
  const hiddenSize = readCount(json, 'hidden_size')
  const numHeads = readCount(json, 'num_attention_heads')
  const numKvHeads = readCount(json, 'num_key_value_heads', numHeads)
  if (numHeads % numKvHeads !== 0)
    throw configFault('num_key_value_heads', `a divisor of ${numHeads}`, numKvHeads)
  const headDim = readCount(json, 'head_dim', hiddenSize / numHeads)
  if (headDim % 2 !== 0) throw configFault('head_dim', 'an even number', headDim)
  const maxSeqLen = readCount(json, 'max_position_embeddings', 2048)
  return {
    vocabSize: readCount(json, 'vocab_size'),
    hiddenSize,
    intermediateSize: readCount(json, 'intermediate_size'),
    numLayers: readCount(json, 'num_hidden_layers'),
    numHeads,
    numKvHeads,
    headDim,
    maxSeqLen,
    normEps: readNumber(json, 'rms_norm_eps', 1e-6),
    rope: readRope(json),
    tieWordEmbeddings: readFlag(json, 'tie_word_embeddings'),
    attentionBias: readFlag(json, 'attention_bias'),
    mlpBias: readFlag(json, 'mlp_bias'),
  }
}
