// Ops around the paged KV cache: rotary, kvWrite, both in one, attention.
// Layout of a cache: [numBlocks, numKvHeads, blockSize, headDim]; slot = block * blockSize + offset.

import { invariant } from '../../core/errors.ts'
import {
  expectDType,
  expectRank,
  expectShape,
  fixedDim,
  floatDTypes,
  refTensor,
  type FloatDType,
  type OpDef,
  type RefTensor,
} from '../opDef.ts'
import { slice } from './elementwise.ts'

/** `half` pairs dims (i, i + rotaryDim/2), as in Hugging Face Llama; `interleaved` pairs (2i, 2i + 1), as in GPT-J. */
export type RopeStyle = 'half' | 'interleaved'

export interface RotaryAttrs {
  readonly dtype: FloatDType
  readonly headDim: number
  readonly rotaryDim: number
  readonly style: RopeStyle
}

/**
 * Rotates the first `rotaryDim` dims of every head of x [T, heads · headDim] by the angles of `positions` [T].
 * `table` [maxSeqLen, rotaryDim] comes from the host: cosines in its first half, sines in its second.
 */
export const rotary: OpDef<RotaryAttrs> = {
  inputs: ['x', 'positions', 'table'],
  outputs: ['y'],
  accuracy: 'rounded',
  infer({ dtype, headDim, rotaryDim }, { x, positions, table }, where) {
    expectDType(where, 'x', x!.dtype, floatDTypes)
    expectDType(where, 'positions', positions!.dtype, ['i32'])
    expectDType(where, 'table', table!.dtype, ['f32'])
    expectShape(where, 'positions', positions!.shape, [x!.shape[0]!])
    expectShape(where, 'table', table!.shape, [table!.shape[0]!, rotaryDim])
    invariant(fixedDim(where, x!.shape[1]) % headDim === 0, `${where}: whole heads`)
    invariant(rotaryDim % 2 === 0 && rotaryDim <= headDim, `${where}: rotaryDim is even and fits the head`)
    return { y: { dtype, shape: x!.shape } }
  },
  reference({ headDim, rotaryDim, style }, { x, positions, table }) {
    const width = x!.shape[1]!
    const half = rotaryDim / 2
    const y = { shape: x!.shape, data: x!.data.slice() }
    for (let token = 0; token < x!.shape[0]!; token++) {
      const angles = positions!.data[token]! * rotaryDim
      for (let head = token * width; head < (token + 1) * width; head += headDim) {
        for (let i = 0; i < half; i++) {
          const first = head + (style === 'half' ? i : 2 * i)
          const second = style === 'half' ? first + half : first + 1
          const cos = table!.data[angles + i]!
          const sin = table!.data[angles + half + i]!
          const [a, b] = [x!.data[first]!, x!.data[second]!]
          y.data[first] = a * cos - b * sin
          y.data[second] = b * cos + a * sin
        }
      }
    }
    return { y }
  },
}

export interface KvAttrs {
  readonly numKvHeads: number
  readonly headDim: number
  readonly blockSize: number
}

/** Writes k and v [T, numKvHeads · headDim] to their slots [T]; a slot below zero is skipped. */
export const kvWrite: OpDef<KvAttrs> = {
  inputs: ['k', 'v', 'slots', 'kCache', 'vCache'],
  outputs: ['kNext', 'vNext'],
  nextVersionOf: { kNext: 'kCache', vNext: 'vCache' },
  accuracy: 'rounded',
  infer({ numKvHeads, headDim, blockSize }, { k, v, slots, kCache, vCache }, where) {
    expectShape(where, 'v', v!.shape, k!.shape)
    expectShape(where, 'k', k!.shape, [k!.shape[0]!, numKvHeads * headDim])
    expectDType(where, 'slots', slots!.dtype, ['i32'])
    expectShape(where, 'kCache', kCache!.shape, [kCache!.shape[0]!, numKvHeads, blockSize, headDim])
    expectShape(where, 'vCache', vCache!.shape, kCache!.shape)
    return { kNext: kCache!, vNext: vCache! }
  },
  reference({ numKvHeads, headDim, blockSize }, { k, v, slots, kCache, vCache }) {
    for (const [rows, cache] of [
      [k!, kCache!],
      [v!, vCache!],
    ] as const) {
      slots!.data.forEach((slot, token) => {
        if (slot < 0) return
        const block = Math.floor(slot / blockSize)
        for (let head = 0; head < numKvHeads; head++) {
          const source = (token * numKvHeads + head) * headDim
          const target = ((block * numKvHeads + head) * blockSize + (slot % blockSize)) * headDim
          cache.data.set(rows.data.subarray(source, source + headDim), target)
        }
      })
    }
    return { kNext: kCache!, vNext: vCache! }
  },
}

export interface RotaryKvWriteAttrs extends KvAttrs {
  readonly dtype: FloatDType
  readonly numHeads: number
  readonly rotaryDim: number
}

/**
 * x [T, (numHeads + 2 · numKvHeads) · headDim], a merged projection of queries, keys and values → rotated queries y
 * [T, numHeads · headDim]; rotated keys and plain values go to their slots. Style `half`; operands as rotary, kvWrite.
 */
export const rotaryKvWrite: OpDef<RotaryKvWriteAttrs> = {
  inputs: ['x', 'positions', 'table', 'slots', 'kCache', 'vCache'],
  outputs: ['y', 'kNext', 'vNext'],
  nextVersionOf: { kNext: 'kCache', vNext: 'vCache' },
  accuracy: 'rounded',
  infer({ dtype, numHeads, numKvHeads, headDim, blockSize }, { x, slots, kCache, vCache }, where) {
    expectShape(where, 'x', x!.shape, [x!.shape[0]!, (numHeads + 2 * numKvHeads) * headDim])
    expectDType(where, 'slots', slots!.dtype, ['i32'])
    expectShape(where, 'kCache', kCache!.shape, [kCache!.shape[0]!, numKvHeads, blockSize, headDim])
    expectShape(where, 'vCache', vCache!.shape, kCache!.shape)
    return { y: { dtype, shape: [x!.shape[0]!, numHeads * headDim] }, kNext: kCache!, vNext: vCache! }
  },
  reference({ numHeads, numKvHeads, headDim, ...attrs }, { x, positions, table, slots, kCache, vCache }) {
    const columns = (start: number, heads: number): RefTensor => {
      const { y } = slice.reference({ start: start * headDim, length: heads * headDim }, { x: x! })
      return y!
    }
    const rotate = (heads: RefTensor): RefTensor => {
      const inputs = { x: heads, positions: positions!, table: table! }
      return rotary.reference({ ...attrs, headDim, style: 'half' }, inputs)['y']!
    }
    const k = rotate(columns(numHeads, numKvHeads))
    const v = columns(numHeads + numKvHeads, numKvHeads)
    const caches = { k, v, slots: slots!, kCache: kCache!, vCache: vCache! }
    return {
      y: rotate(columns(0, numHeads)),
      ...kvWrite.reference({ ...attrs, numKvHeads, headDim }, caches),
    }
  },
}

export interface AttentionAttrs extends KvAttrs {
  readonly dtype: FloatDType
  readonly numHeads: number
  readonly scale: number
}

/**
 * Causal attention of packed queries over paged keys and values.
 * q [T, numHeads · headDim]; caches as above; blockTables [S, maxBlocks]; cuSeqlensQ [S + 1] delimits the queries of
 * each sequence; contextLens [S] counts attendable tokens including this step's. Bottom-right aligned: query i of n
 * sees the first contextLen - n + i + 1 tokens. Query head j reads KV head floor(j / (numHeads / numKvHeads)).
 */
export const attention: OpDef<AttentionAttrs> = {
  inputs: ['q', 'kCache', 'vCache', 'blockTables', 'cuSeqlensQ', 'contextLens'],
  outputs: ['y'],
  accuracy: 'transcendental',
  infer({ dtype, numHeads, numKvHeads, headDim, blockSize }, inputs, where) {
    const { q, kCache, vCache, blockTables, cuSeqlensQ, contextLens } = inputs
    invariant(numHeads % numKvHeads === 0, `${where}: whole groups of query heads`)
    expectShape(where, 'q', q!.shape, [q!.shape[0]!, numHeads * headDim])
    expectShape(where, 'kCache', kCache!.shape, [kCache!.shape[0]!, numKvHeads, blockSize, headDim])
    expectShape(where, 'vCache', vCache!.shape, kCache!.shape)
    expectRank(where, 'blockTables', blockTables!.shape, 2)
    for (const [name, operand] of Object.entries({ blockTables, cuSeqlensQ, contextLens })) {
      expectDType(where, name, operand!.dtype, ['i32'])
    }
    return { y: { dtype, shape: q!.shape } }
  },
  reference(attrs, { q, kCache, vCache, blockTables, cuSeqlensQ, contextLens }) {
    const { numHeads, numKvHeads, headDim, blockSize, scale } = attrs
    const y = refTensor(q!.shape)
    const maxBlocks = blockTables!.shape[1]!
    for (let sequence = 0; sequence < contextLens!.data.length; sequence++) {
      const begin = cuSeqlensQ!.data[sequence]!
      const end = cuSeqlensQ!.data[sequence + 1]!
      for (let token = begin; token < end; token++) {
        const numKeys = contextLens!.data[sequence]! - (end - token) + 1
        for (let head = 0; head < numHeads; head++) {
          const kvHead = Math.floor(head / (numHeads / numKvHeads))
          const query = q!.data.subarray(
            (token * numHeads + head) * headDim,
            (token * numHeads + head + 1) * headDim,
          )
          const rowOf = (key: number): number => {
            const block = blockTables!.data[sequence * maxBlocks + Math.floor(key / blockSize)]!
            return ((block * numKvHeads + kvHead) * blockSize + (key % blockSize)) * headDim
          }
          const scores = Array.from({ length: numKeys }, (_, key) => {
            const row = rowOf(key)
            return query.reduce((sum, value, d) => sum + value * kCache!.data[row + d]!, 0) * scale
          })
          const max = scores.reduce((a, b) => Math.max(a, b), -Infinity)
          const weights = scores.map((score) => Math.exp(score - max))
          const total = weights.reduce((sum, weight) => sum + weight, 0)
          const target = (token * numHeads + head) * headDim
          weights.forEach((weight, key) => {
            const row = rowOf(key)
            for (let d = 0; d < headDim; d++) y.data[target + d]! += (weight / total) * vCache!.data[row + d]!
          })
        }
      }
    }
    return { y }
  },
}
