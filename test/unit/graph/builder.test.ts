// The builder's faults, each beside the call that works, and what it makes of inputs, weights and states.

import { describe, expect, test } from 'vitest'
import type { ValueId } from '../../../src/core/brand.ts'
import { RuntimeFault } from '../../../src/core/errors.ts'
import { GraphBuilder } from '../../../src/graph/builder.ts'
import { affine, symbol, type Dim } from '../../../src/graph/dim.ts'
import { usersOf } from '../../../src/graph/graph.ts'
import { verifyGraph } from '../../../src/graph/verify.ts'
import { tensor } from '../../../src/graph/weightExpr.ts'

const T = symbol('T')
const attrs = { dtype: 'f32', activation: 'none' } as const

function faultOf(run: () => unknown): RuntimeFault {
  try {
    run()
  } catch (error) {
    if (error instanceof RuntimeFault) return error
    throw error
  }
  throw new Error('there was no fault')
}

/** A builder with an activation x [T, 6]. */
function begin(): { b: GraphBuilder; x: ValueId } {
  const b = new GraphBuilder('test')
  const ids = b.input('ids', 'i32', [T])
  const x = b.apply(
    'embedding',
    'embed',
    { table: b.weight(tensor('table', [10, 6]), 'f32'), ids },
    { dtype: 'f32' },
  )
  return { b, x }
}

describe('operands', () => {
  test('a linear with its required operands has the rows of x and of w', () => {
    const { b, x } = begin()
    const y = b.apply('linear', 'proj', { x, w: b.weight(tensor('w', [4, 6]), 'f32') }, attrs)
    expect(b.typeOf(y)).toMatchObject({ dtype: 'f32', shape: [T, 4], name: 'proj.y' })
  })

  test('an optional operand may be undefined', () => {
    const { b, x } = begin()
    const w = b.weight(tensor('w', [4, 6]), 'f32')
    b.apply('linear', 'proj', { x, w, bias: undefined, residual: undefined }, attrs)
    expect(b.finish().ops.at(-1)!.inputs).toEqual({ x, w })
  })

  test('a missing operand is named', () => {
    const { b, x } = begin()
    const fault = faultOf(() => b.apply('linear', 'layers.0.proj', { x, w: undefined }, attrs))
    expect(fault.code).toBe('graph/structure')
    expect(fault.message).toMatchInlineSnapshot(
      `"[graph/structure] layers.0.proj (linear): expected operands x, w, bias?, residual?, got x. Pass the operands that the op definition lists."`,
    )
  })

  test('an unknown operand is named', () => {
    const { b, x } = begin()
    const w = b.weight(tensor('w', [4, 6]), 'f32')
    const fault = faultOf(() => b.apply('linear', 'proj', { x, w, scale: x }, attrs))
    expect(fault.code).toBe('graph/structure')
    expect(fault.message).toMatchInlineSnapshot(
      `"[graph/structure] proj (linear): expected operands x, w, bias?, residual?, got x, w, scale. Pass the operands that the op definition lists."`,
    )
  })

  test('an id that no value has is our bug', () => {
    const { b, x } = begin()
    expect(faultOf(() => b.apply('silu', 'act', { x: 99 as ValueId }, { dtype: 'f32' })).code).toBe(
      'internal',
    )
    b.apply('silu', 'act', { x }, { dtype: 'f32' })
  })
})

describe('types', () => {
  test('a weight whose columns differ from x is a shape fault', () => {
    const { b, x } = begin()
    const fault = faultOf(() =>
      b.apply('linear', 'layers.0.proj', { x, w: b.weight(tensor('w', [4, 5]), 'f32') }, attrs),
    )
    expect(fault.code).toBe('graph/shape')
    expect(fault.where).toBe('layers.0.proj (linear) operand x')
    expect(fault.message).toMatchInlineSnapshot(
      `"[graph/shape] layers.0.proj (linear) operand x: expected [T, 5], got [T, 6]. Check the configuration against the checkpoint."`,
    )
  })

  test('integers where floats belong are a dtype fault', () => {
    const { b } = begin()
    const fault = faultOf(() => b.apply('silu', 'act', { x: b.input('n', 'i32', [T, 6]) }, { dtype: 'f32' }))
    expect(fault.code).toBe('graph/dtype')
    expect(fault.message).toMatchInlineSnapshot(
      `"[graph/dtype] act (silu) operand x: expected f32 or f16, got i32. Insert a conversion or build the graph with another dtype."`,
    )
  })

  test('a rank other than two is a shape fault', () => {
    const { b } = begin()
    const weight = b.weight(tensor('g', [6]), 'f32')
    const x = b.weight(tensor('flat', [6]), 'f32')
    const fault = faultOf(() => b.apply('rmsNorm', 'norm', { x, weight }, { dtype: 'f32', eps: 1e-5 }))
    expect(fault.code).toBe('graph/shape')
    expect(fault.message).toContain('expected 2 dimensions, got [6]')
  })

  test('every message reads [code] where: expected X, got Y. Do Z.', () => {
    const { b, x } = begin()
    const faults = [
      faultOf(() => b.apply('linear', 'p', { x }, attrs)),
      faultOf(() => b.apply('add', 'p', { a: x, b: b.weight(tensor('o', [1, 6]), 'f32') }, { dtype: 'f32' })),
      faultOf(() => b.apply('slice', 'p', { x }, { start: 4, length: 3 })),
    ]
    for (const { message } of faults)
      expect(message).toMatch(/^\[graph\/\w+\] p \(\w+\).*: expected .+, got .+\. [A-Z].+\.$/)
  })

  test('a concat adds up the columns of any number of parts', () => {
    const { b, x } = begin()
    const cut = b.apply('slice', 'cut', { x }, { start: 1, length: 2 })
    expect(b.typeOf(b.apply('concat', 'one', { x0: x }, {}))).toMatchObject({ shape: [T, 6] })
    expect(b.typeOf(b.apply('concat', 'all', { x0: x, x1: cut, x2: x }, {})).shape).toEqual([T, 14])
  })

  test.each<[what: string, parts: (b: GraphBuilder, x: ValueId) => Record<string, ValueId>, code: string]>([
    ['no part', () => ({}), 'graph/structure'],
    ['a part without number', (_b, x) => ({ x0: x, x }), 'graph/structure'],
    ['another operand', (_b, x) => ({ x0: x, y1: x }), 'graph/structure'],
    ['other rows', (b, x) => ({ x0: x, x1: b.weight(tensor('w', [3, 6]), 'f32') }), 'graph/shape'],
    ['another dtype', (b, x) => ({ x0: x, x1: b.input('n', 'i32', [T, 6]) }), 'graph/dtype'],
  ])('a concat with %s is a fault', (_what, parts, code) => {
    const { b, x } = begin()
    expect(faultOf(() => b.apply('concat', 'all', parts(b, x), {})).code).toBe(code)
  })

  const slice = (start: number, length: number): readonly Dim[] => {
    const { b, x } = begin()
    return b.typeOf(b.apply('slice', 'view', { x }, { start, length })).shape
  }

  test.each([
    [0, 6],
    [5, 1],
  ])('a slice from %i of %i of six columns fits', (start, length) => {
    expect(slice(start, length)).toEqual([T, length])
  })

  test.each([
    [5, 2],
    [-1, 2],
    [0, 0],
  ])('a slice from %i of %i of six columns is a shape fault', (start, length) => {
    expect(faultOf(() => slice(start, length)).code).toBe('graph/shape')
  })
})

describe('weights', () => {
  test('of the same expression and dtype are one value', () => {
    const b = new GraphBuilder('test')
    expect(b.weight(tensor('w', [4, 6]), 'f32')).toBe(b.weight(tensor('w', [4, 6]), 'f32'))
  })

  test('of another dtype or name are another value', () => {
    const b = new GraphBuilder('test')
    const ids = [
      b.weight(tensor('w', [4, 6]), 'f32'),
      b.weight(tensor('w', [4, 6]), 'f16'),
      b.weight(tensor('u', [4, 6]), 'f32'),
    ]
    expect(new Set(ids).size).toBe(3)
  })
})

describe('states', () => {
  const kv = { numKvHeads: 1, headDim: 6, blockSize: 4 }

  test('a writing op gives the next version of the state it takes', () => {
    const { b, x } = begin()
    const kCache = b.state('k', 'f32', [2, 1, 4, 6])
    const vCache = b.state('v', 'f32', [2, 1, 4, 6])
    const slots = b.input('slots', 'i32', [T])
    const { kNext, vNext } = b.op('kvWrite', 'write', { k: x, v: x, slots, kCache, vCache }, kv)
    b.output('k', kNext!)
    b.output('v', vNext!)
    const graph = b.finish()
    expect(graph.values[kNext!]!.state).toBe(graph.values[kCache]!.state)
    expect(graph.values[vNext!]!.state).toBe(graph.values[vCache]!.state)
    expect(graph.values[kNext!]!.state).not.toBe(graph.values[vNext!]!.state)
    verifyGraph(graph)
  })

  test('a plain value where a state belongs is a structure fault', () => {
    const { b, x } = begin()
    const vCache = b.state('v', 'f32', [2, 1, 4, 6])
    const kCache = b.weight(tensor('k', [2, 1, 4, 6]), 'f32')
    const slots = b.input('slots', 'i32', [T])
    const fault = faultOf(() => b.op('kvWrite', 'write', { k: x, v: x, slots, kCache, vCache }, kv))
    expect(fault.message).toMatchInlineSnapshot(
      `"[graph/structure] kvWrite operand kCache: expected a version of a state, got a plain value. Create it with builder.state()."`,
    )
  })
})

test('a finished graph lists inputs in the order they were made, and readers of each value', () => {
  const { b, x } = begin()
  const rows = b.input('rows', 'i32', [affine(symbol('R'), 1)])
  const doubled = b.apply('add', 'double', { a: x, b: x }, { dtype: 'f32' })
  b.output('y', b.apply('gatherRows', 'pick', { x: doubled, rows }, {}))
  const graph = b.finish()
  expect(graph.inputs.map((id) => graph.values[id]!.name)).toEqual(['ids', 'rows'])
  // An op that reads a value twice is one reader.
  expect(
    usersOf(graph)
      .get(x)!
      .map(({ kind }) => kind),
  ).toEqual(['add'])
  verifyGraph(graph)
})
