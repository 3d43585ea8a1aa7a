// The forward pass of a Llama, Mistral or Qwen2 over one step: packed tokens of many sequences, paged keys and values.
// Written plainly, one op at a time; passes fuse it.

import type { ValueId } from '../../core/brand.ts'
import { bytesOf, type DType } from '../../core/dtype.ts'
import { GraphBuilder } from '../../graph/builder.ts'
import { affine, symbol } from '../../graph/dim.ts'
import type { Graph } from '../../graph/graph.ts'
import type { FloatDType } from '../../graph/opDef.ts'
import { controlColumns, maxBiases } from '../../graph/ops/logits.ts'
import type { LlmGraphOptions } from '../spec.ts'
import type { LlamaConfig } from './config.ts'
import { rotaryTable } from './rope.ts'
import { embeddingWeight, finalNormWeight, headWeight, layerWeights, type LinearWeights } from './weights.ts'

const T = symbol('T')
const S = symbol('S')
const R = symbol('R')

/** What a kernel stores two at a time must come in pairs; odd widths stay f32. */
function storedType(width: number, dtype: FloatDType): FloatDType {
  return width % 2 === 0 ? dtype : 'f32'
}

/** Of queries, keys and values. Rotation works on half heads, and what it writes must be as wide as what it reads. */
function headTypeOf({ headDim }: LlamaConfig, dtype: FloatDType): FloatDType {
  return storedType(headDim / 2, dtype)
}

/** Bytes that a block of the KV cache takes in the keys of a layer, and as many in its values. */
export function kvBlockBytes(
  config: LlamaConfig,
  { dtype, blockSize }: Pick<LlmGraphOptions, 'dtype' | 'blockSize'>,
): number {
  return config.numKvHeads * blockSize * config.headDim * bytesOf(headTypeOf(config, dtype))
}

export function llamaGraph(config: LlamaConfig, options: LlmGraphOptions): Graph {
  const { dtype, maxSeqLen, blockSize, numBlocks, maxNumSeqs } = options
  const { numHeads, numKvHeads, headDim, hiddenSize, normEps } = config
  const b = new GraphBuilder('llama')
  const activation = (width: number): FloatDType => storedType(width, dtype)
  const headType = headTypeOf(config, dtype)
  const weight = (expr: Parameters<typeof b.weight>[0], type: DType = dtype): ValueId => b.weight(expr, type)

  const tokenSource = b.input('tokenSource', 'i32', [T, 2])
  const positions = b.input('positions', 'i32', [T])
  const slots = b.input('slotMapping', 'i32', [T])
  const cuSeqlensQ = b.input('cuSeqlensQ', 'i32', [affine(S, 1, 1)])
  const contextLens = b.input('contextLens', 'i32', [S])
  const blockTables = b.input('blockTables', 'i32', [S, Math.ceil(maxSeqLen / blockSize)])
  const logitsRows = b.input('logitsRows', 'i32', [R])
  const sampled = b.state('sampled', 'i32', [maxNumSeqs])

  const linear = (origin: string, x: ValueId, { w, bias }: LinearWeights, type: FloatDType): ValueId => {
    const y = b.apply('linear', origin, { x, w: weight(w) }, { dtype: type, activation: 'none' })
    if (bias === undefined) return y
    return b.apply('biasAdd', origin, { x: y, bias: weight(bias, 'f32') }, { dtype: type })
  }
  const norm = (origin: string, x: ValueId, expr: Parameters<typeof b.weight>[0]): ValueId =>
    b.apply(
      'rmsNorm',
      origin,
      { x, weight: weight(expr, 'f32') },
      { dtype: activation(hiddenSize), eps: normEps },
    )

  const ids = b.apply('selectTokens', 'tokens', { source: tokenSource, sampled }, {})
  const rotary = weight(
    {
      kind: 'table',
      name: `rotary(${JSON.stringify(config.rope)}, ${headDim}, ${maxSeqLen})`,
      shape: [maxSeqLen, headDim],
      values: (firstRow, numRows) => rotaryTable(config.rope, headDim, maxSeqLen, firstRow, numRows),
    },
    'f32',
  )
  const rotate = (origin: string, x: ValueId): ValueId =>
    b.apply(
      'rotary',
      origin,
      { x, positions, table: rotary },
      { dtype: headType, headDim, rotaryDim: headDim, style: 'half' },
    )

  let hidden = b.apply(
    'embedding',
    'embed_tokens',
    { table: weight(embeddingWeight(config)), ids },
    { dtype: 'f32' },
  )
  for (let layer = 0; layer < config.numLayers; layer++) {
    const at = `layers.${layer}`
    const weights = layerWeights(config, layer)
    const kv = { numKvHeads, headDim, blockSize }
    const normed = norm(`${at}.input_norm`, hidden, weights.inputNorm)
    const q = rotate(`${at}.attn.q_rotary`, linear(`${at}.attn.q_proj`, normed, weights.q, headType))
    const k = rotate(`${at}.attn.k_rotary`, linear(`${at}.attn.k_proj`, normed, weights.k, headType))
    const v = linear(`${at}.attn.v_proj`, normed, weights.v, headType)
    const cacheShape = [numBlocks, numKvHeads, blockSize, headDim]
    const kCache = b.state(`${at}.k_cache`, headType, cacheShape)
    const vCache = b.state(`${at}.v_cache`, headType, cacheShape)
    const { kNext, vNext } = b.op('kvWrite', `${at}.attn.kv_write`, { k, v, slots, kCache, vCache }, kv)
    b.output(`${at}.k_cache`, kNext!)
    b.output(`${at}.v_cache`, vNext!)
    const attended = b.apply(
      'attention',
      `${at}.attn`,
      { q, kCache: kNext, vCache: vNext, blockTables, cuSeqlensQ, contextLens },
      { ...kv, dtype: headType, numHeads, scale: 1 / Math.sqrt(headDim) },
    )
    hidden = b.apply(
      'add',
      `${at}.attn.residual`,
      { a: hidden, b: linear(`${at}.attn.o_proj`, attended, weights.o, 'f32') },
      { dtype: 'f32' },
    )

    const inner = activation(config.intermediateSize)
    const normed2 = norm(`${at}.post_attention_norm`, hidden, weights.postAttentionNorm)
    const gate = linear(`${at}.mlp.gate_proj`, normed2, weights.gate, inner)
    const up = linear(`${at}.mlp.up_proj`, normed2, weights.up, inner)
    const gated = b.apply(
      'mul',
      `${at}.mlp.gated`,
      { a: b.apply('silu', `${at}.mlp.act`, { x: gate }, { dtype: inner }), b: up },
      { dtype: inner },
    )
    hidden = b.apply(
      'add',
      `${at}.mlp.residual`,
      { a: hidden, b: linear(`${at}.mlp.down_proj`, gated, weights.down, 'f32') },
      { dtype: 'f32' },
    )
  }
  const rows = b.apply('gatherRows', 'logits_rows', { x: hidden, rows: logitsRows }, {})
  const last = norm('norm', rows, finalNormWeight(config))
  const logits = linear('lm_head', last, { w: headWeight(config), bias: undefined }, 'f32')
  if (options.head === 'logits') {
    b.output('logits', logits)
    return b.finish()
  }
  const temperature = b.input('temperature', 'f32', [R])
  const seed = b.input('seed', 'u32', [R, 2])
  const tokenIndex = b.input('tokenIndex', 'u32', [R])
  const targets = b.input('sampleTargets', 'i32', [R])
  const countTargets = b.input('countTargets', 'i32', [S, 3])
  const controls = b.input('controls', 'f32', [R, controlColumns.length])
  // Last, since they are the largest: a step with few rows uploads few of them.
  const biasIds = b.input('biasIds', 'i32', [R, maxBiases])
  const biasValues = b.input('biasValues', 'f32', [R, maxBiases])
  const counts = b.apply(
    'countTokens',
    'sample.count',
    {
      ids,
      cuSeqlensQ,
      contextLens,
      targets: countTargets,
      tokenCounts: b.state('tokenCounts', 'u32', [maxNumSeqs, config.vocabSize]),
    },
    {},
  )
  b.output('tokenCounts', counts)
  const processed = b.apply(
    'processLogits',
    'sample.process',
    { logits, controls, biasIds, biasValues, tokenCounts: counts, targets },
    {},
  )
  b.output(
    'sampled',
    b.apply(
      'sample',
      'sample',
      { logits, processed, controls, temperature, seed, tokenIndex, targets, sampled },
      {},
    ),
  )
  return b.finish()
}
