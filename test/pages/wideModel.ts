// A random Llama whose weights are several chunks of the cache: most of it are embeddings, so that it computes fast.

import { writeSafetensors, type TensorToWrite } from '../unit/weights/writeSafetensors.ts'

const hidden = 256
const intermediate = 512
const vocab = 16_384
const numLayers = 2

const config = {
  architectures: ['LlamaForCausalLM'],
  model_type: 'llama',
  hidden_size: hidden,
  intermediate_size: intermediate,
  num_hidden_layers: numLayers,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  vocab_size: vocab,
  max_position_embeddings: 256,
  rms_norm_eps: 1e-5,
  rope_theta: 10_000,
  hidden_act: 'silu',
  tie_word_embeddings: false,
}

/** File by name; some 19 MiB of weights in F16. */
export function wideModel(): Record<string, Uint8Array | string> {
  let state = 1
  const tensor = (name: string, ...shape: number[]): TensorToWrite => {
    const count = shape.reduce((product, dim) => product * dim, 1)
    const halves = Uint16Array.from({ length: count }, () => {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
      // A sign, and magnitudes from 1/64 to 1/16.
      return ((state >>> 16) & 0x8000) | (0x2400 + ((state >>> 8) & 0x7ff))
    })
    return { name, dtype: 'F16', shape, bytes: new Uint8Array(halves.buffer) }
  }
  const layers = Array.from({ length: numLayers }, (_, layer) => {
    const at = (name: string, ...shape: number[]): TensorToWrite =>
      tensor(`model.layers.${layer}.${name}.weight`, ...shape)
    return [
      at('input_layernorm', hidden),
      at('self_attn.q_proj', hidden, hidden),
      at('self_attn.k_proj', hidden / 2, hidden),
      at('self_attn.v_proj', hidden / 2, hidden),
      at('self_attn.o_proj', hidden, hidden),
      at('post_attention_layernorm', hidden),
      at('mlp.gate_proj', intermediate, hidden),
      at('mlp.up_proj', intermediate, hidden),
      at('mlp.down_proj', hidden, intermediate),
    ]
  })
  const tensors = [
    tensor('model.embed_tokens.weight', vocab, hidden),
    ...layers.flat(),
    tensor('model.norm.weight', hidden),
    tensor('lm_head.weight', vocab, hidden),
  ]
  return { 'config.json': JSON.stringify(config), 'model.safetensors': writeSafetensors(tensors) }
}
