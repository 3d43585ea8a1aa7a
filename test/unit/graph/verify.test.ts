// The graph's written spec: a good graph passes, and each rule, violated in isolation, fails with its own message.

import { describe, expect, test } from 'vitest'
import type { ValueId } from '../../../src/core/brand.ts'
import { GraphBuilder } from '../../../src/graph/builder.ts'
import { symbol } from '../../../src/graph/dim.ts'
import type { Graph, Op, Value } from '../../../src/graph/graph.ts'
import { verifyGraph } from '../../../src/graph/verify.ts'
import { tensor } from '../../../src/graph/weightExpr.ts'
import { tinyLlama } from '../models/tinyLlama.ts'

const T = symbol('T')

/** ids → embedding → silu → kvWrite of two states, all states returned. */
function goodGraph(): Graph {
  const b = new GraphBuilder('good')
  const ids = b.input('ids', 'i32', [T])
  const slots = b.input('slots', 'i32', [T])
  const table = b.weight(tensor('table', [10, 4]), 'f32')
  const kCache = b.state('k', 'f32', [2, 1, 4, 4])
  const vCache = b.state('v', 'f32', [2, 1, 4, 4])
  const x = b.apply('embedding', 'embed', { table, ids }, { dtype: 'f32' })
  const y = b.apply('silu', 'act', { x }, { dtype: 'f32' })
  const kv = { numKvHeads: 1, headDim: 4, blockSize: 4 }
  const { kNext, vNext } = b.op('kvWrite', 'write', { k: x, v: y, slots, kCache, vCache }, kv)
  b.output('y', y)
  b.output('k', kNext!)
  b.output('v', vNext!)
  return b.finish()
}

const good = goodGraph()
const named = (name: string): ValueId => good.values.find((value) => value.name === name)!.id
const editValue = (id: ValueId, change: Partial<Value>): Graph => ({
  ...good,
  values: good.values.map((value) => (value.id === id ? { ...value, ...change } : value)),
})
const editOp = (origin: string, change: Partial<Op>): Graph => ({
  ...good,
  ops: good.ops.map((op) => (op.origin === origin ? ({ ...op, ...change } as Op) : op)),
})
const opAt = (origin: string): Op => good.ops.find((op) => op.origin === origin)!

describe('accepts', () => {
  test('a good graph', () => {
    expect(() => verifyGraph(good)).not.toThrow()
  })

  test('the Llama graph with either head', () => {
    const graphs = [
      tinyLlama(),
      tinyLlama({}, { head: 'sample' }),
      tinyLlama(
        { qkvBias: true, outputBias: true, mlpBias: true, tieWordEmbeddings: true },
        { dtype: 'f16' },
      ),
    ]
    for (const graph of graphs) expect(() => verifyGraph(graph)).not.toThrow()
  })

  test('an op that reads the latest version of a state', () => {
    const write = opAt('write')
    const { kNext, vNext } = write.outputs
    const again = {
      ...write,
      origin: 'again',
      inputs: { ...write.inputs, kCache: kNext!, vCache: vNext! },
    } as Op
    const next = good.values.length as ValueId
    const graph: Graph = {
      ...good,
      values: [
        ...good.values,
        { ...good.values[kNext!]!, id: next },
        { ...good.values[vNext!]!, id: (next + 1) as ValueId },
      ],
      ops: [...good.ops, { ...again, outputs: { kNext: next, vNext: (next + 1) as ValueId } }],
      outputs: { ...good.outputs, k: next, v: (next + 1) as ValueId },
    }
    verifyGraph(graph)
    // The control: the same op on the first version.
    const stale = { ...graph.ops.at(-1)!, inputs: write.inputs } as Op
    expect(() => verifyGraph({ ...graph, ops: [...good.ops, stale] })).toThrow('already overwritten')
  })
})

describe('rejects', () => {
  test('an id that is not its index', () => {
    expect(() =>
      verifyGraph(editValue(named('act.y'), { id: 99 as ValueId })),
    ).toThrowErrorMatchingInlineSnapshot(
      `[RuntimeFault: [graph/structure] good act.y: expected id 6, got 99. The last pass or builder broke the graph; print it before and after.]`,
    )
  })

  test('a weight whose shape is not that of its expression', () => {
    expect(() =>
      verifyGraph(editValue(named('table'), { shape: [10, 5] })),
    ).toThrowErrorMatchingInlineSnapshot(
      `[RuntimeFault: [graph/structure] good table: expected [10, 4], got [10, 5]. The last pass or builder broke the graph; print it before and after.]`,
    )
  })

  test('a value that is defined twice', () => {
    const twice = { ...opAt('act'), origin: 'twice' } as Op
    expect(() => verifyGraph({ ...good, ops: [...good.ops, twice] })).toThrowErrorMatchingInlineSnapshot(
      `[RuntimeFault: [graph/structure] good twice: expected each value defined once, got %6 again. The last pass or builder broke the graph; print it before and after.]`,
    )
  })

  test('an op that defines an input', () => {
    const id = good.values.length as ValueId
    const values: Value[] = [
      ...good.values,
      { ...good.values[named('act.y')]!, id, source: { kind: 'input' } },
    ]
    const op = { ...opAt('act'), origin: 'twice', outputs: { y: id } } as Op
    expect(() => verifyGraph({ ...good, values, ops: [...good.ops, op] })).toThrow('each value defined once')
  })

  test('a use before the definition', () => {
    const [first, second, ...rest] = good.ops
    expect(() =>
      verifyGraph({ ...good, ops: [second!, first!, ...rest] }),
    ).toThrowErrorMatchingInlineSnapshot(
      `[RuntimeFault: [graph/structure] good act.x: expected a value defined earlier, got %5. The last pass or builder broke the graph; print it before and after.]`,
    )
  })

  test('a value that nothing defines', () => {
    expect(() => verifyGraph({ ...good, ops: good.ops.filter(({ origin }) => origin !== 'embed') })).toThrow(
      'a value defined earlier',
    )
  })

  test('an operand that the op does not have', () => {
    const op = opAt('act')
    expect(() => verifyGraph(editOp('act', { inputs: { ...op.inputs, z: named('table') } }))).toThrow(
      'expected operands x',
    )
  })

  test('a type other than the op definition infers', () => {
    expect(() => verifyGraph(editValue(named('act.y'), { dtype: 'f16' }))).toThrowErrorMatchingInlineSnapshot(
      `[RuntimeFault: [graph/structure] good act.y: expected f32[T, 4], got f16[T, 4]. The last pass or builder broke the graph; print it before and after.]`,
    )
    expect(() => verifyGraph(editValue(named('act.y'), { shape: [T, 5] }))).toThrow('[graph/')
  })

  test('an op without one of its outputs', () => {
    expect(() => verifyGraph(editOp('act', { outputs: {} }))).toThrow('output y')
  })

  test('a version that leaves its state', () => {
    const id = named('write.kNext')
    const { state: _, ...stateless } = good.values[id]!
    const values = good.values.map((value) => (value.id === id ? stateless : value))
    expect(() => verifyGraph({ ...good, values })).toThrowErrorMatchingInlineSnapshot(
      `[RuntimeFault: [graph/structure] good write: expected kNext to carry its state on, got another state. The last pass or builder broke the graph; print it before and after.]`,
    )
  })

  test('a version that moves to another state', () => {
    const other = good.values[named('write.vNext')]!.state!
    expect(() => verifyGraph(editValue(named('write.kNext'), { state: other }))).toThrow(
      'to carry its state on',
    )
  })

  test('a state version on a plain result', () => {
    const state = good.values[named('k')]!.state!
    expect(() => verifyGraph(editValue(named('act.y'), { state }))).toThrow('to carry its state on')
  })

  test('a final version that is not an output', () => {
    const { k: _, ...outputs } = good.outputs
    expect(() => verifyGraph({ ...good, outputs })).toThrowErrorMatchingInlineSnapshot(
      `[RuntimeFault: [graph/structure] good state k: expected its last version among the outputs, got none. The last pass or builder broke the graph; print it before and after.]`,
    )
  })

  test('the first version of a written state as its output', () => {
    expect(() => verifyGraph({ ...good, outputs: { ...good.outputs, k: named('k') } })).toThrow(
      'its last version',
    )
  })

  test('an output that nothing defines', () => {
    expect(() =>
      verifyGraph({ ...good, outputs: { ...good.outputs, z: 99 as ValueId } }),
    ).toThrowErrorMatchingInlineSnapshot(
      `[RuntimeFault: [graph/structure] good output z: expected a defined value, got %99. The last pass or builder broke the graph; print it before and after.]`,
    )
  })
})
