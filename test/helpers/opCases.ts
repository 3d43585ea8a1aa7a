// Small graphs of one op each, at awkward sizes, for comparing kernels with the f64 reference.

import { symbol, type DimEnv } from '../../src/graph/dim.ts'
import { GraphBuilder } from '../../src/graph/builder.ts'
import type { Graph } from '../../src/graph/graph.ts'
import type { FloatDType } from '../../src/graph/opDef.ts'
import type { OpKind } from '../../src/graph/ops/index.ts'
import { sliceRows, type WeightExpr } from '../../src/graph/weightExpr.ts'
import { removeDead, splitWeights } from '../../src/passes/index.ts'
import { f16Bits, f16Value } from '../../src/core/dtype.ts'
import type { StepValues } from '../../src/plan/stepLayout.ts'
import { seededRandom } from './random.ts'
import { tableOf } from './tableOf.ts'

export interface OpCase {
  readonly name: string
  readonly kind: OpKind
  readonly graph: Graph
  readonly dims: DimEnv
  readonly maxima: DimEnv
  readonly values: StepValues
  /** Terms of the longest sum, for the tolerance. */
  readonly length: number
  readonly dtype: FloatDType
}

const T = symbol('T')
const R = symbol('R')

/** A weight whose values both f32 and f16 hold, so that a case measures kernels and not rounding of its inputs. */
function random(name: string, shape: readonly number[], seed: number, scale = 1): WeightExpr {
  const length = shape.reduce((product, dim) => product * dim, 1)
  const rng = seededRandom(seed)
  const values = Float32Array.from({ length }, () => f16Value(f16Bits(rng.normal() * scale)))
  return tableOf(`${name} ${seed}`, shape, () => values)
}

/** Activations arrive through an embedding of random rows, since step inputs have 32-bit integer rows only. */
function activation(
  b: GraphBuilder,
  name: string,
  width: number,
  dtype: FloatDType,
  seed: number,
  scale = 1,
): ReturnType<GraphBuilder['weight']> {
  const table = b.weight(random(name, [97, width], seed, scale), 'f32')
  const ids = b.input(`${name}Ids`, 'i32', [T])
  // A single half cannot be stored, so models keep odd widths in f32; so do the cases.
  return b.apply('embedding', name, { table, ids }, { dtype: width % 2 === 0 ? dtype : 'f32' })
}

function rowIds(numTokens: number, seed: number): number[] {
  const rng = seededRandom(seed + 1000)
  return Array.from({ length: numTokens }, () => rng.integer(97))
}

function dimsOf(numTokens: number): DimEnv {
  return { T: numTokens, S: 1, R: 1 }
}

export function linearCase(
  rows: number,
  inner: number,
  columns: number,
  dtype: FloatDType,
  epilogue: { bias?: boolean; residual?: boolean; silu?: boolean; gated?: boolean } = {},
): OpCase {
  const b = new GraphBuilder('linear')
  const x = activation(b, 'x', inner, dtype, 1)
  const stacked = epilogue.gated === true ? columns * 2 : columns
  const w = b.weight(random('w', [stacked, inner], 2, 1 / Math.sqrt(inner)), dtype)
  const bias = epilogue.bias === true ? b.weight(random('bias', [stacked], 3), 'f32') : undefined
  const residual = epilogue.residual === true ? activation(b, 'residual', columns, 'f32', 4) : undefined
  const out: FloatDType = epilogue.residual === true || columns % 2 !== 0 ? 'f32' : dtype
  b.output(
    'y',
    b.apply(
      'linear',
      'linear',
      { x, w, bias, residual },
      { dtype: out, activation: epilogue.silu === true ? 'silu' : 'none', gated: epilogue.gated === true },
    ),
  )
  const values: Record<string, number[]> = { xIds: rowIds(rows, 1) }
  if (residual !== undefined) values['residualIds'] = rowIds(rows, 4)
  const extras = Object.keys(epilogue).join('+')
  return {
    name: `linear ${rows}×${inner}×${columns} ${dtype} ${extras}`,
    kind: 'linear',
    graph: b.finish(),
    dims: dimsOf(rows),
    maxima: { T: rows + 3, S: 2, R: 2 },
    values,
    length: inner,
    dtype: out,
  }
}

export function unaryCase(kind: 'silu' | 'rmsNorm', rows: number, width: number, dtype: FloatDType): OpCase {
  const b = new GraphBuilder(kind)
  const x = activation(b, 'x', width, kind === 'rmsNorm' ? 'f32' : dtype, 5, 3)
  const y =
    kind === 'silu'
      ? b.apply('silu', kind, { x }, { dtype })
      : b.apply(
          'rmsNorm',
          kind,
          { x, weight: b.weight(random('weight', [width], 6), 'f32') },
          { dtype, eps: 1e-5 },
        )
  b.output('y', y)
  return {
    name: `${kind} ${rows}×${width} ${dtype}`,
    kind,
    graph: b.finish(),
    dims: dimsOf(rows),
    maxima: dimsOf(rows),
    values: { xIds: rowIds(rows, 5) },
    length: width,
    dtype,
  }
}

export function binaryCase(
  kind: 'add' | 'mul' | 'swiglu' | 'biasAdd',
  rows: number,
  width: number,
  dtype: FloatDType,
): OpCase {
  const b = new GraphBuilder(kind)
  const first = activation(b, 'a', width, dtype, 7, 2)
  const values: Record<string, number[]> = { aIds: rowIds(rows, 7) }
  let y
  if (kind === 'biasAdd') {
    y = b.apply('biasAdd', kind, { x: first, bias: b.weight(random('bias', [width], 8), 'f32') }, { dtype })
  } else {
    y = b.apply(kind, kind, { a: first, b: activation(b, 'b', width, dtype, 9, 2) }, { dtype })
    values['bIds'] = rowIds(rows, 9)
  }
  b.output('y', y)
  return {
    name: `${kind} ${rows}×${width} ${dtype}`,
    kind,
    graph: b.finish(),
    dims: dimsOf(rows),
    maxima: dimsOf(rows),
    values,
    length: 1,
    dtype,
  }
}

/** Rotation and cache write of a merged projection; the caches are read back through `k` and `v`. */
export function rotaryKvWriteCase(
  rows: number,
  numHeads: number,
  numKvHeads: number,
  headDim: number,
  rotaryDim: number,
  dtype: FloatDType,
): OpCase {
  const b = new GraphBuilder('rotaryKvWrite')
  const x = activation(b, 'x', (numHeads + 2 * numKvHeads) * headDim, dtype, 18)
  const positions = b.input('positions', 'i32', [T])
  const slots = b.input('slots', 'i32', [T])
  const table = b.weight(random('table', [50, rotaryDim], 19), 'f32')
  const shape = [4, numKvHeads, 4, headDim]
  const inputs = {
    x,
    positions,
    table,
    slots,
    kCache: b.state('k', dtype, shape),
    vCache: b.state('v', dtype, shape),
  }
  const attrs = { dtype, numHeads, numKvHeads, headDim, rotaryDim, blockSize: 4 }
  const { y, kNext, vNext } = b.op('rotaryKvWrite', 'rotaryKvWrite', inputs, attrs)
  b.output('y', y!)
  b.output('k', kNext!)
  b.output('v', vNext!)
  const values = {
    xIds: rowIds(rows, 18),
    positions: rowIds(rows, 20).map((id) => id % 50),
    // Scattered slots, one of them skipped.
    slots: Array.from({ length: rows }, (_, i) => (i === 1 ? -1 : (i * 7 + 3) % 16)),
  }
  return {
    name: `rotaryKvWrite ${rows}×${numHeads}/${numKvHeads}×${headDim} (${rotaryDim}) ${dtype}`,
    kind: 'rotaryKvWrite',
    graph: b.finish(),
    dims: dimsOf(rows),
    maxima: { ...dimsOf(rows), T: rows + 1 },
    values,
    length: 2,
    dtype,
  }
}

/** A linear of two slices of one merged activation: reads through views with a stride and an offset. */
export function viewCase(rows: number, width: number, dtype: FloatDType): OpCase {
  const b = new GraphBuilder('views')
  const merged = activation(b, 'x', width * 2, dtype, 10)
  const left = b.apply('slice', 'left', { x: merged }, { start: 0, length: width })
  const right = b.apply('slice', 'right', { x: merged }, { start: width, length: width })
  b.output('y', b.apply('swiglu', 'swiglu', { a: left, b: right }, { dtype }))
  return {
    name: `swiglu of slices ${rows}×${width} ${dtype}`,
    kind: 'swiglu',
    graph: b.finish(),
    dims: dimsOf(rows),
    maxima: dimsOf(rows),
    values: { xIds: rowIds(rows, 10) },
    length: 1,
    dtype,
  }
}

export function rotaryCase(
  rows: number,
  heads: number,
  headDim: number,
  rotaryDim: number,
  style: 'half' | 'interleaved',
  dtype: FloatDType,
): OpCase {
  const b = new GraphBuilder('rotary')
  const x = activation(b, 'x', heads * headDim, dtype, 11)
  const positions = b.input('positions', 'i32', [T])
  const table = b.weight(random('table', [50, rotaryDim], 12), 'f32')
  b.output('y', b.apply('rotary', 'rotary', { x, positions, table }, { dtype, headDim, rotaryDim, style }))
  const values = { xIds: rowIds(rows, 11), positions: rowIds(rows, 13).map((id) => id % 50) }
  return {
    name: `rotary ${style} ${rows}×${heads}×${headDim} (${rotaryDim}) ${dtype}`,
    kind: 'rotary',
    graph: b.finish(),
    dims: dimsOf(rows),
    maxima: dimsOf(rows),
    values,
    length: 2,
    dtype,
  }
}

export function gatherCase(width: number, dtype: FloatDType): OpCase {
  const b = new GraphBuilder('gatherRows')
  const x = activation(b, 'x', width, dtype, 14)
  const rows = b.input('rows', 'i32', [R])
  b.output('y', b.apply('gatherRows', 'gather', { x, rows }, {}))
  return {
    name: `gatherRows ${width} ${dtype}`,
    kind: 'gatherRows',
    graph: b.finish(),
    dims: { T: 5, S: 1, R: 2 },
    maxima: { T: 8, S: 1, R: 3 },
    values: { xIds: rowIds(5, 14), rows: [4, 0] },
    length: 1,
    dtype,
  }
}

/** Two embeddings in a chain over the rows of one table; ids before, inside, between and after its bands. */
export function bandedEmbeddingCase(width: number, dtype: FloatDType): OpCase {
  const b = new GraphBuilder('embedding')
  const ids = b.input('ids', 'i32', [T])
  const table = random('table', [40, width], 21)
  const low = b.weight(sliceRows(table, 3, 20), dtype)
  const high = b.weight(sliceRows(table, 25, 15), dtype)
  const previous = b.apply('embedding', 'low', { table: low, ids }, { dtype: 'f32', firstRow: 3 })
  b.output('y', b.apply('embedding', 'high', { table: high, ids, previous }, { dtype: 'f32', firstRow: 25 }))
  const values = { ids: [3, 22, 25, 39, 2, 23, 24, 40, -1, 0, 30] }
  return {
    name: `bands of embedding ${width} ${dtype}`,
    kind: 'embedding',
    graph: b.finish(),
    dims: dimsOf(values.ids.length),
    maxima: dimsOf(values.ids.length + 2),
    values,
    length: 1,
    dtype,
  }
}

/** The linear of a case in bands of at most `maxBytes` of its weight, written side by side. */
export function splitCase(opCase: OpCase, maxBytes: number): OpCase {
  const { ops } = opCase.graph
  // The activations' tables stay whole, since each of their bands would be a shader to compile.
  const others = ops.filter(({ kind }) => kind !== 'linear')
  const linears = { ...opCase.graph, ops: ops.filter(({ kind }) => kind === 'linear') }
  const split = splitWeights(maxBytes).run(linears)
  const graph = removeDead.run({ ...split, ops: [...others, ...split.ops] })
  return { ...opCase, name: `bands of ${opCase.name}`, graph }
}

export interface AttentionShape {
  readonly numHeads: number
  readonly numKvHeads: number
  readonly headDim: number
  readonly blockSize: number
  /** Tokens already in the cache and new ones, by sequence. */
  readonly sequences: readonly { readonly cached: number; readonly added: number }[]
  readonly dtype: FloatDType
  /** Which physical block each logical one takes; identity unless given. */
  readonly permute?: (block: number) => number
}

/**
 * Writes keys and values of all tokens (cached ones first, in rows beyond the queries) and attends with the new ones.
 * One kvWrite of all rows, then attention of the first `added` rows, so the whole paged path is in one graph.
 */
export function attentionCase(shape: AttentionShape): OpCase {
  const { numHeads, numKvHeads, headDim, blockSize, sequences, dtype, permute = (block) => block } = shape
  const b = new GraphBuilder('attention')
  const kv = { numKvHeads, headDim, blockSize }
  const S = symbol('S')
  const blocksOf = ({ cached, added }: { cached: number; added: number }): number =>
    Math.ceil((cached + added) / blockSize)
  const numBlocks = sequences.reduce((sum, sequence) => sum + blocksOf(sequence), 0) + 2
  const maxBlocks = Math.max(...sequences.map(blocksOf))
  const numQueries = sequences.reduce((sum, { added }) => sum + added, 0)
  const numRows = numQueries + sequences.reduce((sum, { cached }) => sum + cached, 0)

  const cacheShape = [numBlocks, numKvHeads, blockSize, headDim]
  const kCache = b.state('k', dtype, cacheShape)
  const vCache = b.state('v', dtype, cacheShape)
  const k = activation(b, 'k', numKvHeads * headDim, dtype, 15)
  const v = activation(b, 'v', numKvHeads * headDim, dtype, 16)
  const slots = b.input('slots', 'i32', [T])
  const written = b.op('kvWrite', 'write', { k, v, slots, kCache, vCache }, kv)
  const qAll = activation(b, 'q', numHeads * headDim, dtype, 17)
  const blockTables = b.input('blockTables', 'i32', [S, maxBlocks])
  const cuSeqlensQ = b.input('cuSeqlensQ', 'i32', [{ kind: 'affine', of: S, scale: 1, offset: 1 }])
  const contextLens = b.input('contextLens', 'i32', [S])
  const queryRows = b.input('queryRows', 'i32', [R])
  const q = b.apply('gatherRows', 'queries', { x: qAll, rows: queryRows }, {})
  const inputs = {
    q,
    kCache: written['kNext'],
    vCache: written['vNext'],
    blockTables,
    cuSeqlensQ,
    contextLens,
  }
  b.output(
    'y',
    b.apply('attention', 'attention', inputs, { ...kv, dtype, numHeads, scale: 1 / Math.sqrt(headDim) }),
  )
  b.output('k', written['kNext']!)
  b.output('v', written['vNext']!)

  const slotList: number[] = []
  const cachedSlots: number[] = []
  const tables: number[] = []
  let nextBlock = 0
  const cu = [0]
  for (const sequence of sequences) {
    const table = Array.from({ length: maxBlocks }, (_, i) =>
      i < blocksOf(sequence) ? permute(nextBlock + i) : 0,
    )
    nextBlock += blocksOf(sequence)
    const slotAt = (position: number): number =>
      table[Math.floor(position / blockSize)]! * blockSize + (position % blockSize)
    for (let i = 0; i < sequence.cached; i++) cachedSlots.push(slotAt(i))
    for (let i = 0; i < sequence.added; i++) slotList.push(slotAt(sequence.cached + i))
    tables.push(...table)
    cu.push(cu.at(-1)! + sequence.added)
  }
  const label = sequences.map(({ cached, added }) => `${cached}+${added}`).join(',')
  return {
    name: `attention ${numHeads}/${numKvHeads}×${headDim} block ${blockSize} [${label}] ${dtype}`,
    kind: 'attention',
    graph: b.finish(),
    dims: { T: numRows, S: sequences.length, R: numQueries },
    // As many sequences as tokens makes it a decode plan, where each query has a sequence of its own.
    maxima: {
      T: numRows,
      S: sequences.every(({ added }) => added === 1) ? numRows : sequences.length + 1,
      R: numQueries + 1,
    },
    values: {
      kIds: rowIds(numRows, 15),
      vIds: rowIds(numRows, 16),
      qIds: rowIds(numRows, 17),
      slots: [...slotList, ...cachedSlots],
      blockTables: tables,
      cuSeqlensQ: cu,
      contextLens: sequences.map(({ cached, added }) => cached + added),
      queryRows: Array.from({ length: numQueries }, (_, i) => i),
    },
    length: Math.max(headDim, ...sequences.map(({ cached, added }) => cached + added)),
    dtype,
  }
}

/** Attention at the shapes where its variants differ: many heads a KV head, several splits, tiles over sequences. */
function attentionCases(dtype: FloatDType): OpCase[] {
  const one = { numHeads: 2, numKvHeads: 2, headDim: 16, blockSize: 4, dtype }
  const decode = { numHeads: 4, numKvHeads: 2, headDim: 64, blockSize: 16, dtype }
  return [
    attentionCase({ ...one, sequences: [{ cached: 0, added: 1 }] }),
    attentionCase({ ...one, sequences: [{ cached: 0, added: 70 }] }),
    attentionCase({
      ...one,
      numHeads: 4,
      numKvHeads: 1,
      headDim: 12,
      sequences: [
        { cached: 3, added: 1 },
        { cached: 0, added: 7 },
        { cached: 5, added: 3 },
      ],
    }),
    attentionCase({
      ...decode,
      sequences: [
        { cached: 64, added: 1 },
        { cached: 62, added: 1 },
        { cached: 127, added: 2 },
      ],
    }),
    attentionCase({
      ...decode,
      sequences: [
        { cached: 300, added: 1 },
        { cached: 3, added: 1 },
        { cached: 255, added: 1 },
        { cached: 256, added: 1 },
      ],
    }),
    attentionCase({
      ...decode,
      numHeads: 6,
      numKvHeads: 2,
      headDim: 48,
      sequences: [{ cached: 600, added: 1 }],
      permute: (block) => 37 - block,
    }),
    attentionCase({
      ...decode,
      numHeads: 11,
      numKvHeads: 1,
      headDim: 32,
      sequences: [{ cached: 9, added: 5 }],
    }),
    attentionCase({
      ...decode,
      numHeads: 2,
      numKvHeads: 1,
      headDim: 256,
      sequences: [{ cached: 90, added: 4 }],
    }),
    attentionCase({
      ...decode,
      numHeads: 2,
      headDim: 128,
      sequences: [
        { cached: 40, added: 9 },
        { cached: 0, added: 2 },
      ],
    }),
    // In splits: MHA and MQA, the narrowest and the widest head.
    attentionCase({ ...decode, numHeads: 2, headDim: 128, sequences: [{ cached: 260, added: 1 }] }),
    attentionCase({
      ...decode,
      numHeads: 3,
      numKvHeads: 1,
      headDim: 32,
      sequences: [{ cached: 530, added: 1 }],
    }),
    attentionCase({
      ...decode,
      numHeads: 2,
      numKvHeads: 1,
      headDim: 256,
      sequences: [{ cached: 256, added: 1 }],
    }),
  ]
}

/**
 * Few, and attention in f16 alone, since compilers for CPUs unroll the loops of GPU kernels: matrix-vector and tiled linear
 * around a tile's edge, and attention at the head dims of real models, for MHA, GQA and MQA, in one piece and in splits.
 */
export function gpuCases(): OpCase[] {
  const attention = { numHeads: 2, numKvHeads: 2, headDim: 128, blockSize: 16, dtype: 'f16' } as const
  const short = { cached: 5, added: 1 }
  return [
    ...(['f32', 'f16'] as const).flatMap((dtype) => [
      linearCase(1, 96, 68, dtype, { residual: true }),
      linearCase(8, 72, 60, dtype, { silu: true, gated: true }),
      linearCase(63, 36, 68, dtype),
      linearCase(65, 36, 60, dtype, { bias: true }),
    ]),
    attentionCase({
      ...attention,
      sequences: [
        { cached: 0, added: 9 },
        { cached: 70, added: 3 },
      ],
    }),
    attentionCase({ ...attention, sequences: [{ cached: 300, added: 1 }, short] }),
    attentionCase({
      ...attention,
      numHeads: 8,
      numKvHeads: 1,
      headDim: 32,
      sequences: [{ cached: 270, added: 1 }],
    }),
    attentionCase({ ...attention, numHeads: 4, headDim: 64, sequences: [{ cached: 20, added: 70 }] }),
  ]
}

/** Linears in two or three bands, with every operand that is cut along. Few, since each band is a shader to compile. */
function splitCases(dtype: FloatDType): OpCase[] {
  const rowBytes = (inner: number): number => inner * (dtype === 'f16' ? 2 : 4)
  return [
    splitCase(linearCase(70, 20, 132, dtype), 64 * rowBytes(20)),
    splitCase(linearCase(3, 33, 34, dtype, { bias: true, residual: true }), 12 * rowBytes(33)),
    dtype === 'f16'
      ? splitCase(linearCase(6, 64, 60, dtype, { residual: true }), 32 * rowBytes(64))
      : splitCase(linearCase(3, 20, 68, dtype, { silu: true, gated: true, bias: true }), 72 * rowBytes(20)),
  ]
}

/** Numbers into the middle of a vector; `shift` is what they lie off from their places in the sequence. */
export function randomCase(shift: number, dtype: FloatDType): OpCase {
  const [first, count] = [1003, 517]
  const b = new GraphBuilder('randomNormal')
  const part = b.input('part', 'u32', [5])
  const distribution = b.input('distribution', 'f32', [2])
  const numbers = b.state('numbers', dtype, [1999])
  const attrs = { dtype, maxCount: count }
  b.output('y', b.apply('randomNormal', 'random', { part, distribution, numbers }, attrs))
  return {
    name: `randomNormal ${dtype} shifted by ${shift}`,
    kind: 'randomNormal',
    graph: b.finish(),
    dims: dimsOf(1),
    maxima: dimsOf(1),
    values: { part: [first + shift, count, first, 7, 0xdead_beef], distribution: [0.5, 2] },
    length: 1,
    dtype,
  }
}

/** Every op kind at the sizes that break kernels: one, primes, tile ± 1. */
export function opCases(): OpCase[] {
  const cases: OpCase[] = []
  for (const dtype of ['f32', 'f16'] as const) {
    for (const [rows, inner, columns] of [
      [1, 64, 64],
      [1, 7, 5],
      [5, 64, 68],
      [3, 33, 34],
      [4, 128, 252],
      [7, 20, 260],
    ] as const) {
      cases.push(linearCase(rows, inner, columns, dtype))
    }
    cases.push(linearCase(5, 32, 48, dtype, { bias: true }), linearCase(5, 32, 48, dtype, { residual: true }))
    cases.push(
      linearCase(2, 31, 46, dtype, { bias: true, silu: true }),
      linearCase(6, 64, 64, dtype, { bias: true, residual: true, silu: true }),
    )
    for (const width of [2, 62, 64, 260]) {
      cases.push(
        unaryCase('silu', 3, width, dtype),
        unaryCase('rmsNorm', 3, width, dtype),
        viewCase(3, width, dtype),
      )
      for (const kind of ['add', 'mul', 'swiglu', 'biasAdd'] as const)
        cases.push(binaryCase(kind, 2, width, dtype))
    }
    cases.push(
      rotaryCase(5, 3, 16, 16, 'half', dtype),
      rotaryCase(5, 2, 12, 12, 'half', dtype),
      rotaryCase(5, 2, 16, 8, 'half', dtype),
    )
    cases.push(rotaryCase(5, 3, 16, 16, 'interleaved', dtype), rotaryCase(5, 2, 24, 8, 'interleaved', dtype))
    cases.push(gatherCase(2, dtype), gatherCase(36, dtype))
    cases.push(...attentionCases(dtype), linearCase(3, 64, 68, dtype, { silu: true, gated: true }))
    cases.push(
      linearCase(1, 36, 260, dtype, { silu: true, gated: true, bias: true }),
      linearCase(70, 20, 132, dtype, { silu: true, gated: true }),
    )
    cases.push(
      linearCase(2, 31, 46, dtype, { silu: true, gated: true, bias: true }),
      linearCase(63, 52, 68, dtype, { bias: true, residual: true }),
      linearCase(65, 52, 60, dtype),
    )
    // Large enough for the kernels that are not worth compiling for less.
    cases.push(
      linearCase(17, 252, 268, dtype, { bias: true, residual: true }),
      linearCase(33, 256, 260, dtype, { silu: true, gated: true }),
    )
    cases.push(bandedEmbeddingCase(2, dtype), bandedEmbeddingCase(36, dtype), ...splitCases(dtype))
    cases.push(rotaryKvWriteCase(5, 3, 1, 16, 16, dtype), rotaryKvWriteCase(4, 2, 2, 12, 8, dtype))
  }
  cases.push(
    linearCase(2, 31, 37, 'f32', { bias: true, residual: true }),
    unaryCase('rmsNorm', 2, 61, 'f32'),
    binaryCase('swiglu', 2, 67, 'f32'),
    rotaryCase(3, 2, 6, 6, 'half', 'f32'),
  )
  return cases
}
