// A llama2.c checkpoint (Karpathy's stories*.bin) → a model folder in the layout of Hugging Face, in memory.
// The file is a header of seven i32 and then f32 tensors without names; it pairs neighbouring dims in rotary, so the
// rows of Q and K are reordered to the halves that LlamaForCausalLM pairs: even dims first, then odd ones.

import { memoryStore, type FileStore } from '../../src/core/files.ts'
import { writeSafetensors, type TensorToWrite } from '../unit/weights/writeSafetensors.ts'

export interface Llama2cOptions {
  /** False leaves Q and K as they are, which is wrong: for showing that the order matters. */
  readonly permute?: boolean
}

/** `tokenizerJson` is the folder's tokenizer.json. Throws if the file's size is not what its header implies. */
export function llama2cStore(
  bytes: Uint8Array,
  tokenizerJson: string,
  { permute = true }: Llama2cOptions = {},
): FileStore {
  const file = Uint8Array.from(bytes)
  const [dim, hiddenDim, numLayers, numHeads, numKvHeads, signedVocabSize, seqLen] = new Int32Array(
    file.buffer,
    0,
    7,
  ) as unknown as [number, number, number, number, number, number, number]
  // A negative size says that the classifier is not the embedding.
  const isTied = signedVocabSize > 0
  const vocabSize = Math.abs(signedVocabSize)
  const headDim = dim / numHeads
  const kvDim = numKvHeads * headDim

  let offset = 28
  const take = (...shape: number[]): Float32Array => {
    const length = shape.reduce((product, size) => product * size, 1)
    const values = new Float32Array(file.buffer, offset, length)
    offset += length * 4
    return values
  }
  const tensors: TensorToWrite[] = []
  const put = (name: string, shape: readonly number[], values: Float32Array): void => {
    const copy = new Uint8Array(Float32Array.from(values).buffer)
    tensors.push({ name, dtype: 'F32', shape, bytes: copy })
  }
  /** One tensor for each layer out of a stack of them. */
  const putLayers = (name: string, shape: readonly number[], numRotaryHeads = 0): void => {
    const stack = take(numLayers, ...shape)
    const length = stack.length / numLayers
    for (let layer = 0; layer < numLayers; layer++) {
      const values = stack.subarray(layer * length, (layer + 1) * length)
      const isRotated = permute && numRotaryHeads > 0
      put(
        `model.layers.${layer}.${name}.weight`,
        shape,
        isRotated ? halvesFirst(values, numRotaryHeads, headDim, dim) : values,
      )
    }
  }

  put('model.embed_tokens.weight', [vocabSize, dim], take(vocabSize, dim))
  putLayers('input_layernorm', [dim])
  putLayers('self_attn.q_proj', [dim, dim], numHeads)
  putLayers('self_attn.k_proj', [kvDim, dim], numKvHeads)
  putLayers('self_attn.v_proj', [kvDim, dim])
  putLayers('self_attn.o_proj', [dim, dim])
  putLayers('post_attention_layernorm', [dim])
  putLayers('mlp.gate_proj', [hiddenDim, dim])
  putLayers('mlp.down_proj', [dim, hiddenDim])
  putLayers('mlp.up_proj', [hiddenDim, dim])
  put('model.norm.weight', [dim], take(dim))
  // Tables of cosines and sines that nobody reads any more.
  take(seqLen, headDim / 2)
  take(seqLen, headDim / 2)
  if (!isTied) put('lm_head.weight', [vocabSize, dim], take(vocabSize, dim))
  if (offset !== file.byteLength) {
    throw new Error(`the header implies ${offset} bytes, the file has ${file.byteLength}`)
  }

  const config = {
    architectures: ['LlamaForCausalLM'],
    hidden_act: 'silu',
    hidden_size: dim,
    intermediate_size: hiddenDim,
    num_hidden_layers: numLayers,
    num_attention_heads: numHeads,
    num_key_value_heads: numKvHeads,
    vocab_size: vocabSize,
    max_position_embeddings: seqLen,
    rms_norm_eps: 1e-5,
    rope_theta: 10_000,
    tie_word_embeddings: isTied,
    bos_token_id: 1,
    eos_token_id: 2,
  }
  return memoryStore('llama2.c', {
    'config.json': JSON.stringify(config),
    'model.safetensors': writeSafetensors(tensors),
    'tokenizer.json': tokenizerJson,
  })
}

/** Rows of each head reordered from pairs (2i, 2i + 1) to pairs (i, i + headDim / 2). */
function halvesFirst(values: Float32Array, numHeads: number, headDim: number, columns: number): Float32Array {
  const result = new Float32Array(values.length)
  for (let row = 0; row < numHeads * headDim; row++) {
    const head = Math.floor(row / headDim)
    const within = row % headDim
    const half = headDim / 2
    const source = head * headDim + (within < half ? 2 * within : 2 * (within - half) + 1)
    result.set(values.subarray(source * columns, (source + 1) * columns), row * columns)
  }
  return result
}
