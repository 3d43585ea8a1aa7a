// llama.cpp's tensor names ↔ Hugging Face's, and which tensors llama.cpp stores with reordered rows.
// Not here: the reordering (tensorReader.ts).

/** Architectures whose tensors get Hugging Face names. Other files keep the names they have. */
export type GgufArchitecture = 'llama' | 'mistral' | 'qwen2'

export function isKnownArchitecture(value: unknown): value is GgufArchitecture {
  return value === 'llama' || value === 'mistral' || value === 'qwen2'
}

/** What a tensor is to the model. */
export interface TensorRole {
  readonly name: string
  /** Whose heads' rows llama.cpp reordered: rotary pairs adjacent instead of half a head apart. */
  readonly interleavedHeads: 'query' | 'keyValue' | undefined
}

const modelNames: ReadonlyMap<string, string> = new Map([
  ['token_embd', 'model.embed_tokens'],
  ['output_norm', 'model.norm'],
  ['output', 'lm_head'],
])

const layerNames: ReadonlyMap<string, string> = new Map([
  ['attn_norm', 'input_layernorm'],
  ['attn_q', 'self_attn.q_proj'],
  ['attn_k', 'self_attn.k_proj'],
  ['attn_v', 'self_attn.v_proj'],
  ['attn_output', 'self_attn.o_proj'],
  ['ffn_norm', 'post_attention_layernorm'],
  ['ffn_gate', 'mlp.gate_proj'],
  ['ffn_up', 'mlp.up_proj'],
  ['ffn_down', 'mlp.down_proj'],
])

/** Where the model keeps what the file calls `name`; names that we do not know stay. */
export function roleOf(architecture: GgufArchitecture, name: string): TensorRole {
  const [, layer, part, kind] = /^(?:blk\.(0|[1-9]\d*)\.)?(\w+)\.(weight|bias)$/.exec(name) ?? []
  const known = part === undefined ? undefined : (layer === undefined ? modelNames : layerNames).get(part)
  if (known === undefined) return { name, interleavedHeads: undefined }
  const prefix = layer === undefined ? '' : `model.layers.${layer}.`
  return { name: `${prefix}${known}.${kind}`, interleavedHeads: interleavedHeads(architecture, part) }
}

/** The inverse of `roleOf`: what a file calls the tensor that the model calls `name`. */
export function nameInFile(name: string): string {
  const [, layer, part = '', kind] = /^(?:model\.layers\.(\d+)\.)?(.+)\.(weight|bias)$/.exec(name) ?? []
  const names = layer === undefined ? modelNames : layerNames
  const known = [...names].find(([, other]) => other === part)
  if (known === undefined) return name
  return `${layer === undefined ? '' : `blk.${layer}.`}${known[0]}.${kind}`
}

function interleavedHeads(
  architecture: GgufArchitecture,
  part: string | undefined,
): TensorRole['interleavedHeads'] {
  // qwen2 rotates halves in llama.cpp too.
  if (architecture === 'qwen2') return undefined
  if (part === 'attn_q') return 'query'
  return part === 'attn_k' ? 'keyValue' : undefined
}
