// Names of the tensors of a Llama, Mistral or Qwen2 in a Hugging Face checkpoint, as weight expressions with their shapes.

import { tensor, type WeightExpr } from '../../graph/weightExpr.ts'
import type { LlamaConfig } from './config.ts'

export interface LinearWeights {
  readonly w: WeightExpr
  readonly bias: WeightExpr | undefined
}

export interface LayerWeights {
  readonly inputNorm: WeightExpr
  readonly q: LinearWeights
  readonly k: LinearWeights
  readonly v: LinearWeights
  readonly o: LinearWeights
  readonly postAttentionNorm: WeightExpr
  readonly gate: LinearWeights
  readonly up: LinearWeights
  readonly down: LinearWeights
}

export function layerWeights(config: LlamaConfig, layer: number): LayerWeights {
  const { hiddenSize, intermediateSize, numHeads, numKvHeads, headDim } = config
  const { qkvBias, outputBias, mlpBias } = config
  const prefix = `model.layers.${layer}`
  const linear = (name: string, rows: number, columns: number, hasBias: boolean): LinearWeights => ({
    w: tensor(`${prefix}.${name}.weight`, [rows, columns]),
    bias: hasBias ? tensor(`${prefix}.${name}.bias`, [rows]) : undefined,
  })
  return {
    inputNorm: tensor(`${prefix}.input_layernorm.weight`, [hiddenSize]),
    q: linear('self_attn.q_proj', numHeads * headDim, hiddenSize, qkvBias),
    k: linear('self_attn.k_proj', numKvHeads * headDim, hiddenSize, qkvBias),
    v: linear('self_attn.v_proj', numKvHeads * headDim, hiddenSize, qkvBias),
    o: linear('self_attn.o_proj', hiddenSize, numHeads * headDim, outputBias),
    postAttentionNorm: tensor(`${prefix}.post_attention_layernorm.weight`, [hiddenSize]),
    gate: linear('mlp.gate_proj', intermediateSize, hiddenSize, mlpBias),
    up: linear('mlp.up_proj', intermediateSize, hiddenSize, mlpBias),
    down: linear('mlp.down_proj', hiddenSize, intermediateSize, mlpBias),
  }
}

export function embeddingWeight({ vocabSize, hiddenSize }: LlamaConfig): WeightExpr {
  return tensor('model.embed_tokens.weight', [vocabSize, hiddenSize])
}

export function finalNormWeight({ hiddenSize }: LlamaConfig): WeightExpr {
  return tensor('model.norm.weight', [hiddenSize])
}

/** The output head, which is the embedding where the two are tied. */
export function headWeight(config: LlamaConfig): WeightExpr {
  if (config.tieWordEmbeddings) return embeddingWeight(config)
  return tensor('lm_head.weight', [config.vocabSize, config.hiddenSize])
}

/** Tensors that tell whether a checkpoint has the sizes of a configuration, however many layers that claims. */
export function telltaleWeights(config: LlamaConfig): WeightExpr[] {
  const linears = ({ q, k, v, o, gate, up, down }: LayerWeights): WeightExpr[] =>
    [q, k, v, o, gate, up, down].map(({ w }) => w)
  return [
    embeddingWeight(config),
    finalNormWeight(config),
    ...linears(layerWeights(config, 0)),
    ...linears(layerWeights(config, config.numLayers - 1)),
  ]
}

/** Rotary frequencies, which the configuration gives, and a head that is tied to the embedding. */
export function isRedundant({ tieWordEmbeddings }: LlamaConfig, name: string): boolean {
  const isFrequencies = name.endsWith('rotary_emb.inv_freq') || name === 'rope_freqs.weight'
  return isFrequencies || (tieWordEmbeddings && name === 'lm_head.weight')
}
