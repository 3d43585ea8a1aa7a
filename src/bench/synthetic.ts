// Models of exact shapes with random weights, for measuring without a download. Values come from one seeded block of
// normal numbers that each tensor repeats from a place of its own, so gigabytes cost little more than copying them.
// Not here: filling weights on the device, which no interface offers yet.

import { bytesOf, f16Bits, type DType } from '../core/dtype.ts'
import { RuntimeFault, throwIfCancelled } from '../core/errors.ts'
import { philox, uniform } from '../core/philox.ts'
import type { Graph } from '../graph/graph.ts'
import { exprTensors } from '../graph/weightExpr.ts'
import type { FloatDType } from '../graph/opDef.ts'
import { readLlmSpec } from '../models/index.ts'
import type { LlmSpec } from '../models/spec.ts'
import { checkElements, tensorNamed, type Checkpoint, type TensorInfo } from '../weights/checkpoint.ts'

/** What a benchmark needs of a model; a LoadedModel is one. */
export interface BenchModel {
  readonly name: string
  readonly spec: LlmSpec
  readonly checkpoint: Checkpoint
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
  return { name: model, spec, checkpoint: randomCheckpoint(model, spec, options) }
}

/** Random weights for any model. */
export function randomCheckpoint(name: string, spec: LlmSpec, { dtype, seed }: SyntheticOptions): Checkpoint {
  const graph = spec.graph({
    dtype,
    maxSeqLen: 1,
    blockSize: 1,
    numBlocks: 1,
    maxNumSeqs: 1,
    head: 'logits',
  })
  return syntheticCheckpoint(name, graph, seed)
}

/** Random values for every tensor that the weights of a graph read, in the format in which the graph wants them. */
export function syntheticCheckpoint(name: string, graph: Graph, seed = 0): Checkpoint {
  const tensors = new Map<string, TensorInfo>()
  for (const { source, dtype } of graph.values) {
    if (source.kind !== 'weight') continue
    for (const { name, shape } of exprTensors(source.expr)) {
      const bytes = shape.reduce((product, dim) => product * dim, bytesOf(dtype))
      tensors.set(name, { name, dtype, shape, bytes, file: 'synthetic' })
    }
  }
  const blocks = new Map<string, Uint8Array>()
  let normals: Float32Array | undefined
  const blockOf = (info: TensorInfo): Uint8Array => {
    const { mean, deviation } = distributionOf(info)
    const key = `${info.dtype} ${mean} ${deviation}`
    let block = blocks.get(key)
    if (block === undefined) {
      normals ??= normalBlock(seed)
      block = encode(
        normals.map((value) => mean + deviation * value),
        info.dtype as DType,
      )
      blocks.set(key, block)
    }
    return block
  }
  return {
    name,
    tensors,
    totalBytes: [...tensors.values()].reduce((total, { bytes }) => total + bytes, 0),
    async read(tensor, start, count, signal, into) {
      throwIfCancelled(signal, tensor)
      const info = tensorNamed(tensors, tensor, name)
      checkElements(info, start, count)
      const size = bytesOf(info.dtype)
      const block = blockOf(info)
      const bytes = count * size
      const out =
        into !== undefined && into.byteLength >= bytes ? into.subarray(0, bytes) : new Uint8Array(bytes)
      let at = ((hash(tensor) + start) % blockLength) * size
      for (let filled = 0; filled < out.length; at = 0) {
        const part = block.subarray(at, at + out.length - filled)
        out.set(part, filled)
        filled += part.length
      }
      return out
    },
    close: () => Promise.resolve(),
  }
}

/** Prime, so that rows of no usual width line up with it. */
const blockLength = 262_139

/** Norms scatter around one; matrices keep the size of what they multiply; embeddings are small, as in real models. */
function distributionOf({ name, shape }: TensorInfo): { mean: number; deviation: number } {
  if (shape.length === 1)
    return name.includes('norm') ? { mean: 1, deviation: 0.05 } : { mean: 0, deviation: 0.02 }
  if (name.includes('embed_tokens')) return { mean: 0, deviation: 0.02 }
  return { mean: 0, deviation: 1 / Math.sqrt(shape.at(-1)!) }
}

/** Box and Muller over philox: two normal numbers from two uniform ones. */
function normalBlock(seed: number): Float32Array {
  const values = new Float32Array(blockLength + 4)
  for (let i = 0; i < blockLength; i += 4) {
    const words = philox([i, 0, 0, 0], [seed >>> 0, 0])
    for (let pair = 0; pair < 4; pair += 2) {
      const radius = Math.sqrt(-2 * Math.log(uniform(words[pair]!)))
      const angle = 2 * Math.PI * uniform(words[pair + 1]!)
      values[i + pair] = radius * Math.cos(angle)
      values[i + pair + 1] = radius * Math.sin(angle)
    }
  }
  return values.slice(0, blockLength)
}

function encode(values: Float32Array, dtype: DType): Uint8Array {
  switch (dtype) {
    case 'f32':
      return new Uint8Array(values.buffer)
    case 'f16':
      return new Uint8Array(Uint16Array.from(values, f16Bits).buffer)
    case 'i32':
    case 'u32':
      // No weight is an integer today; small ones are safe indices.
      return new Uint8Array(new Uint32Array(values.length).buffer)
    default:
      return dtype satisfies never
  }
}

/** FNV-1a. */
function hash(text: string): number {
  let value = 0x811c_9dc5
  for (let i = 0; i < text.length; i++) value = Math.imul(value ^ text.charCodeAt(i), 0x0100_0193)
  return value >>> 0
}
