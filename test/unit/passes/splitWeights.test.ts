// splitWeights on small graphs and on a whole Llama: which bands come out, that no weight is larger than asked, and
// that the numbers stay the same.

import { describe, expect, test } from 'vitest'
import type { ValueId } from '../../../src/core/brand.ts'
import { createReferenceDevice } from '../../../src/device/reference/reference.ts'
import { GraphBuilder } from '../../../src/graph/builder.ts'
import { symbol } from '../../../src/graph/dim.ts'
import type { Graph } from '../../../src/graph/graph.ts'
import type { FloatDType } from '../../../src/graph/opDef.ts'
import { printOp } from '../../../src/graph/print.ts'
import { verifyGraph } from '../../../src/graph/verify.ts'
import { printExpr, tensor } from '../../../src/graph/weightExpr.ts'
import { inferencePasses, inferencePassesFor, runPasses } from '../../../src/passes/index.ts'
import { removeDead } from '../../../src/passes/removeDead.ts'
import { splitWeights } from '../../../src/passes/splitWeights.ts'
import { weightKey } from '../../../src/plan/place.ts'
import { expectClose } from '../../helpers/close.ts'
import { runGraph } from '../../helpers/runGraph.ts'
import { tinyDims, tinyLlama, tinyStep, withRandomWeights } from '../models/tinyLlama.ts'

const T = symbol('T')

/** A linear of [rows, 8] over an embedding of [12, 8], with what `more` adds. */
function small(
  rows: number,
  more: { bias?: boolean; residual?: boolean; gated?: boolean; dtype?: FloatDType } = {},
): Graph {
  const b = new GraphBuilder('small')
  const dtype = more.dtype ?? 'f32'
  const columns = more.gated === true ? rows / 2 : rows
  const embed = (name: string, width: number): ValueId => {
    const table = b.weight(tensor(`${name}.table`, [12, width]), 'f32')
    return b.apply('embedding', name, { table, ids: b.input(`${name}Ids`, 'i32', [T]) }, { dtype: 'f32' })
  }
  const inputs = {
    x: embed('x', 8),
    w: b.weight(tensor('w', [rows, 8]), dtype),
    bias: more.bias === true ? b.weight(tensor('b', [rows]), 'f32') : undefined,
    residual: more.residual === true ? embed('r', columns) : undefined,
  }
  const attrs = { dtype, activation: 'none', gated: more.gated === true } as const
  b.output('y', b.apply('linear', 'proj', inputs, attrs))
  return b.finish()
}

function split(graph: Graph, maxBytes: number): Graph {
  const after = runPasses(graph, [splitWeights(maxBytes), removeDead], true)
  verifyGraph(after)
  return after
}

/** The bands of `w` that the linears of a graph read. */
function bandRows(graph: Graph): string[] {
  const linears = graph.ops.filter(({ kind }) => kind === 'linear')
  return linears.map(({ inputs }) => exprText(graph, inputs['w']!))
}

function exprText(graph: Graph, id: ValueId): string {
  const { source } = graph.values[id]!
  return source.kind === 'weight' ? printExpr(source.expr) : source.kind
}

function weightBytes(graph: Graph): number[] {
  return graph.values
    .filter(({ source }) => source.kind === 'weight')
    .map(({ shape, dtype }) => (shape as number[]).reduce((a, b) => a * b, dtype === 'f16' ? 2 : 4))
}

describe('bands', () => {
  const rowBytes = 8 * 4

  test.each([
    { rows: 12, maxRows: 12, bands: ['w'] },
    { rows: 12, maxRows: 11, bands: ['w[0:4]', 'w[4:12]'] },
    { rows: 13, maxRows: 9, bands: ['w[0:8]', 'w[8:13]'] },
    { rows: 17, maxRows: 4, bands: ['w[0:4]', 'w[4:8]', 'w[8:12]', 'w[12:16]', 'w[16:17]'] },
    { rows: 200, maxRows: 130, bands: ['w[0:128]', 'w[128:200]'] },
    { rows: 320, maxRows: 140, bands: ['w[0:64]', 'w[64:192]', 'w[192:320]'] },
    // Not even four rows fit: the planner will refuse it.
    { rows: 12, maxRows: 3, bands: ['w'] },
  ])('of $rows rows, $maxRows at most: $bands', ({ rows, maxRows, bands }) => {
    expect(bandRows(split(small(rows), maxRows * rowBytes))).toEqual(bands)
  })

  test('count the bytes of the stored elements', () => {
    expect(bandRows(split(small(16, { dtype: 'f16' }), 8 * rowBytes))).toEqual(['w'])
    expect(bandRows(split(small(16, { dtype: 'f16' }), 4 * rowBytes))).toEqual(['w[0:8]', 'w[8:16]'])
  })
})

describe('a linear', () => {
  test('becomes one a band, joined by columns', () => {
    const after = split(small(12, { bias: true, residual: true }), 8 * 32)
    expect(after.ops.map((op) => printOp(after, op)).join('\n')).toMatchInlineSnapshot(`
      "%3: f32[T, 8] = embedding(table=%2, ids=%0) {dtype=f32, firstRow=0}  # x[0:4]
      %5: f32[T, 8] = embedding(table=%4, ids=%0, previous=%3) {dtype=f32, firstRow=4}  # x[4:12]
      %7: f32[T, 12] = embedding(table=%6, ids=%1) {dtype=f32, firstRow=0}  # r[0:4]
      %9: f32[T, 12] = embedding(table=%8, ids=%1, previous=%7) {dtype=f32, firstRow=4}  # r[4:8]
      %11: f32[T, 12] = embedding(table=%10, ids=%1, previous=%9) {dtype=f32, firstRow=8}  # r[8:12]
      %14: f32[T, 4] = slice(x=%11) {start=0, length=4}  # proj[0:4].residual
      %15: f32[T, 4] = linear(x=%5, w=%12, bias=%13, residual=%14) {dtype=f32, activation=none, gated=false}  # proj[0:4]
      %18: f32[T, 8] = slice(x=%11) {start=4, length=8}  # proj[4:12].residual
      %19: f32[T, 8] = linear(x=%5, w=%16, bias=%17, residual=%18) {dtype=f32, activation=none, gated=false}  # proj[4:12]
      %20: f32[T, 12] = concat(x0=%15, x1=%19)  # proj"
    `)
  })

  test('that is gated takes the same rows of gate and up', () => {
    const after = split(small(16, { gated: true, bias: true }), 8 * 32)
    expect(bandRows(after)).toEqual(['concat(w[0:4], w[8:12])', 'concat(w[4:8], w[12:16])'])
    const biases = after.ops.flatMap(({ inputs }) => inputs['bias'] ?? [])
    expect(biases.map((id) => exprText(after, id))).toEqual([
      'concat(b[0:4], b[8:12])',
      'concat(b[4:8], b[12:16])',
    ])
  })

  test.each(['w', 'bias'] as const)('with a computed %s stays whole', (computed) => {
    const graph = small(12, { bias: true })
    const values = graph.values.map((value) =>
      value.name === (computed === 'w' ? 'w' : 'b') ? { ...value, source: { kind: 'op' } as const } : value,
    )
    const after = splitWeights(8 * 32).run({ ...graph, values })
    expect(after.ops.filter(({ kind }) => kind === 'linear')).toHaveLength(1)
  })
})

test('an embedding becomes a chain', () => {
  const after = split(small(4), 4 * 32)
  const links = after.ops.filter((op) => op.kind === 'embedding')
  expect(links.map(({ attrs }) => attrs.firstRow)).toEqual([0, 4, 8])
  expect(links.map(({ inputs }) => exprText(after, inputs['table']!))).toEqual([
    'x.table[0:4]',
    'x.table[4:8]',
    'x.table[8:12]',
  ])
  expect(links.map(({ inputs }) => inputs['previous'])).toEqual([
    undefined,
    links[0]!.outputs['y'],
    links[1]!.outputs['y'],
  ])
})

describe('a Llama', () => {
  // Rows of 64 bytes in f32: everything but norms and the rotary table is larger.
  const maxBytes = 640

  test.each([
    { name: 'plain', config: {} },
    { name: 'with biases', config: { qkvBias: true, outputBias: true, mlpBias: true } },
    { name: 'tied', config: { tieWordEmbeddings: true } },
    { name: 'with an odd vocabulary', config: { vocabSize: 25 } },
  ])('$name has no weight above the limit, and the numbers it had', async ({ config }) => {
    const graph = withRandomWeights(tinyLlama(config))
    const whole = runPasses(graph, inferencePasses)
    const after = runPasses(graph, inferencePassesFor(maxBytes), true)
    expect(Math.max(...weightBytes(whole))).toBeGreaterThan(2 * maxBytes)
    expect(Math.max(...weightBytes(after))).toBeLessThanOrEqual(maxBytes)
    const options = { dims: tinyDims, values: tinyStep }
    const expected = await runGraph(createReferenceDevice(), graph, options)
    const actual = await runGraph(createReferenceDevice(), after, options)
    expect(Object.keys(actual)).toEqual(Object.keys(expected))
    for (const [name, { data }] of Object.entries(expected))
      expectClose(actual[name]!.data, data, 1e-12, name)
  })

  test('with tied embeddings stores the bands of the table once', () => {
    const after = runPasses(tinyLlama({ tieWordEmbeddings: true }), inferencePassesFor(maxBytes))
    const operands = (kind: 'linear' | 'embedding', name: string, at: string): ValueId[] =>
      after.ops
        .filter((op) => op.kind === kind && op.origin.startsWith(at))
        .map(({ inputs }) => inputs[name]!)
    const tables = operands('embedding', 'table', 'embed_tokens')
    expect(tables).toHaveLength(3)
    expect(operands('linear', 'w', 'lm_head')).toEqual(tables)
    const keys = after.values.filter(({ source }) => source.kind === 'weight').map(weightKey)
    expect(new Set(keys).size).toBe(keys.length)
  })

  test('whose weights all fit is what it was', () => {
    const graph = tinyLlama()
    const whole = runPasses(graph, inferencePasses)
    const largest = Math.max(...weightBytes(whole))
    expect(runPasses(graph, inferencePassesFor(largest))).toEqual(whole)
    expect(runPasses(graph, inferencePassesFor(largest - 4))).not.toEqual(whole)
  })

  test('is split no further by a second run', () => {
    const once = runPasses(tinyLlama(), inferencePassesFor(maxBytes))
    expect(split(once, maxBytes)).toEqual(once)
  })

  test('can be split again into smaller bands', async () => {
    const graph = withRandomWeights(tinyLlama())
    const twice = split(runPasses(graph, inferencePassesFor(2 * maxBytes)), maxBytes)
    expect(Math.max(...weightBytes(twice))).toBeLessThanOrEqual(maxBytes)
    const options = { dims: tinyDims, values: tinyStep }
    const expected = await runGraph(createReferenceDevice(), graph, options)
    const actual = await runGraph(createReferenceDevice(), twice, options)
    expectClose(actual['logits']!.data, expected['logits']!.data, 1e-12)
  })
})
