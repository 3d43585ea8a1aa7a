// GGUF metadata → an object in the shape of transformers' config.json, for models/*/config.ts to read.
// Not here: rotary scaling (ropeScaling.ts) and the tokenizer (text/ggufTokenizer.ts).
import {
  field,
  readCount,
  readNumber,
  readPerLayerCount,
  unsupported,
  whereOf,
  type Fields,
} from './fields.ts'
import type { Gguf } from './gguf.ts'
import { shownValue, type GgufMetadata } from './header.ts'
import { isKnownArchitecture, type GgufArchitecture } from './names.ts'
import { ropeScaling } from './ropeScaling.ts'

const classNames: Readonly<Record<GgufArchitecture, string>> = {
  llama: 'LlamaForCausalLM',
  mistral: 'MistralForCausalLM',
  qwen2: 'Qwen2ForCausalLM',
}

/**
 * The model's configuration under transformers' names. Sizes of the vocabulary and which weights are there come from
 * the tensors, the rest from the metadata.
 * Throws `model/unsupported` for other architectures, experts, partial rotation and rotary scalings without a
 * transformers spelling, `model/config` for fields that are missing or cannot be.
 */
export function ggufConfig({ metadata, checkpoint, ropeFactors }: Gguf): Record<string, unknown> {
  const fields = fieldsOf(checkpoint.name, metadata)
  checkFeatures(fields)
  const { tensors } = checkpoint
  const hiddenSize = readCount(fields, 'embedding_length')
  const numHeads = readPerLayerCount(fields, 'attention.head_count')
  const headDim = readHeadDim(fields, hiddenSize, numHeads)
  const ropeTheta = readNumber(fields, 'rope.freq_base', 10_000)
  const scaling = ropeScaling(fields, ropeFactors, ropeTheta, headDim)
  const slidingWindow = field(fields, 'attention.sliding_window')
  const hasBias = (name: string): boolean => tensors.has(`model.layers.0.${name}.bias`)
  return {
    architectures: [classNames[fields.architecture]],
    model_type: fields.architecture,
    hidden_act: 'silu',
    vocab_size: tensors.get('model.embed_tokens.weight')?.shape[0] ?? readCount(fields, 'vocab_size'),
    hidden_size: hiddenSize,
    intermediate_size: readPerLayerCount(fields, 'feed_forward_length'),
    num_hidden_layers: readCount(fields, 'block_count'),
    num_attention_heads: numHeads,
    num_key_value_heads: readPerLayerCount(fields, 'attention.head_count_kv', numHeads),
    head_dim: headDim,
    max_position_embeddings: readCount(fields, 'context_length'),
    rms_norm_eps: readNumber(fields, 'attention.layer_norm_rms_epsilon'),
    rope_theta: ropeTheta,
    ...(scaling === undefined ? {} : { rope_scaling: scaling }),
    ...(slidingWindow === undefined ? {} : { sliding_window: readCount(fields, 'attention.sliding_window') }),
    tie_word_embeddings: !tensors.has('lm_head.weight'),
    // Qwen2 has the first three of these always and no such field.
    ...(fields.architecture === 'qwen2' ? {} : { attention_bias: hasBias('self_attn.q_proj') }),
    ...(hasBias('mlp.gate_proj') ? { mlp_bias: true } : {}),
  }
}

function fieldsOf(file: string, metadata: GgufMetadata): Fields {
  const architecture = metadata.get('general.architecture')
  if (isKnownArchitecture(architecture)) return { file, metadata, architecture }
  throw unsupported(
    `${file}: general.architecture`,
    Object.keys(classNames).join(', '),
    shownValue(architecture),
  )
}

function checkFeatures(fields: Fields): void {
  const numExperts = field(fields, 'expert_count') ?? 0
  if (numExperts !== 0)
    throw unsupported(whereOf(fields, 'expert_count'), 'no experts', shownValue(numExperts))
}

function readHeadDim(fields: Fields, hiddenSize: number, numHeads: number): number {
  const headDim = readCount(fields, 'attention.key_length', hiddenSize / numHeads)
  for (const key of ['attention.value_length', 'rope.dimension_count']) {
    const other = readCount(fields, key, headDim)
    if (other !== headDim)
      throw unsupported(whereOf(fields, key), `the head dimension ${headDim}`, String(other))
  }
  return headDim
}
