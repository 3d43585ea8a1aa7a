// Each pass alone on small graphs: what it rewrites, and beside it what it must leave alone. Every rewrite is verified
// and computes the same numbers in f64. The preset on a whole model is in preset.test.ts.

import { describe, expect, test } from 'vitest'
import type { ValueId } from '../../../src/core/brand.ts'
import { createReferenceDevice } from '../../../src/device/reference/reference.ts'
import { GraphBuilder } from '../../../src/graph/builder.ts'
import { symbol } from '../../../src/graph/dim.ts'
import type { Graph } from '../../../src/graph/graph.ts'
import { verifyGraph } from '../../../src/graph/verify.ts'
import { fuseEpilogue } from '../../../src/passes/fuseEpilogue.ts'
import { fuseGatedActivation } from '../../../src/passes/fuseGatedActivation.ts'
import { mergeLinears } from '../../../src/passes/mergeLinears.ts'
import type { Pass } from '../../../src/passes/pass.ts'
import { removeDead } from '../../../src/passes/removeDead.ts'
import { expectClose } from '../../helpers/close.ts'
import { seededRandom } from '../../helpers/random.ts'
import { runGraph } from '../../helpers/runGraph.ts'
import { tableOf } from '../../helpers/tableOf.ts'

const f32 = { dtype: 'f32' } as const
const width = 4

/** A builder with short names for what these tests combine; all activations are [T, 4]. */
class Small {
  readonly b: GraphBuilder = new GraphBuilder('small')
  readonly ids: ValueId = this.b.input('ids', 'i32', [symbol('T')])

  weight(name: string, ...shape: number[]): ValueId {
    const seed = Array.from(name).reduce((sum, letter) => sum * 31 + letter.charCodeAt(0), 1)
    const length = shape.reduce((product, dim) => product * dim, 1)
    const expr = tableOf(name, shape, () => seededRandom(seed).normals(length))
    return this.b.weight(expr, 'f32')
  }
  x(name = 'x'): ValueId {
    return this.b.apply(
      'embedding',
      name,
      { table: this.weight(`${name} table`, 9, width), ids: this.ids },
      f32,
    )
  }
  linear(
    name: string,
    x: ValueId,
    more: { bias?: ValueId; activation?: 'none' | 'silu'; rows?: number } = {},
  ): ValueId {
    const { bias, activation = 'none', rows = width } = more
    const w = this.weight(`${name}.w`, rows, width)
    return this.b.apply('linear', name, { x, w, bias }, { ...f32, activation })
  }
  bias(name: string, x: ValueId): ValueId {
    return this.b.apply('biasAdd', name, { x, bias: this.weight(`${name}.bias`, width) }, f32)
  }
  silu(name: string, x: ValueId): ValueId {
    return this.b.apply('silu', name, { x }, f32)
  }
  add(name: string, a: ValueId, b: ValueId): ValueId {
    return this.b.apply('add', name, { a, b }, f32)
  }
  mul(name: string, a: ValueId, b: ValueId): ValueId {
    return this.b.apply('mul', name, { a, b }, f32)
  }
}

/** Builds a graph whose outputs are what `build` returns. */
function graphOf(build: (s: Small) => Record<string, ValueId>): Graph {
  const s = new Small()
  for (const [name, id] of Object.entries(build(s))) s.b.output(name, id)
  const graph = s.b.finish()
  verifyGraph(graph)
  return graph
}

/** Kinds of the ops after the first embeddings, in order. */
function kindsOf(graph: Graph): string[] {
  return graph.ops.map(({ kind }) => kind).filter((kind) => kind !== 'embedding')
}

/** The graph after a pass, verified, and with the same outputs as before in f64. */
async function apply(pass: Pass, graph: Graph): Promise<Graph> {
  const after = pass.run(graph)
  verifyGraph(after)
  const options = { dims: { T: 3, S: 1, R: 1 }, values: { ids: [2, 0, 8] } }
  const expected = await runGraph(createReferenceDevice(), graph, options)
  const actual = await runGraph(createReferenceDevice(), after, options)
  expect(Object.keys(actual)).toEqual(Object.keys(expected))
  for (const [name, { data }] of Object.entries(expected)) expectClose(actual[name]!.data, data, 1e-12, name)
  return after
}

/** Kinds of the ops before a pass and after it. */
async function kindsAround(pass: Pass, graph: Graph): Promise<[before: string[], after: string[]]> {
  return [kindsOf(graph), kindsOf(await apply(pass, graph))]
}

describe('fuseGatedActivation', () => {
  test.each([true, false])('makes swiglu of silu times up, with the silu first: %s', async (isFirst) => {
    const graph = graphOf((s) => {
      const [gate, up] = [s.silu('act', s.x('g')), s.x('u')]
      return { y: isFirst ? s.mul('mul', gate, up) : s.mul('mul', up, gate) }
    })
    const after = await apply(fuseGatedActivation, graph)
    expect(kindsOf(removeDead.run(after))).toEqual(['swiglu'])
  })

  test('leaves a silu that somebody else reads', async () => {
    const [before, after] = await kindsAround(
      fuseGatedActivation,
      graphOf((s) => {
        const gate = s.silu('act', s.x('g'))
        return { y: s.mul('mul', gate, s.x('u')), z: s.add('other', gate, s.x('z')) }
      }),
    )
    expect(after).toEqual(before)
  })

  test('leaves a silu that is an output of the graph', async () => {
    const [before, after] = await kindsAround(
      fuseGatedActivation,
      graphOf((s) => {
        const gate = s.silu('act', s.x('g'))
        return { y: s.mul('mul', gate, s.x('u')), gate }
      }),
    )
    expect(after).toEqual(before)
  })

  test('leaves a silu that is squared', async () => {
    const [before, after] = await kindsAround(
      fuseGatedActivation,
      graphOf((s) => {
        const gate = s.silu('act', s.x('g'))
        return { y: s.mul('mul', gate, gate) }
      }),
    )
    expect(after).toEqual(before)
  })

  test('leaves a silu that is added', async () => {
    const [before, after] = await kindsAround(
      fuseGatedActivation,
      graphOf((s) => ({ y: s.add('add', s.silu('act', s.x('g')), s.x('u')) })),
    )
    expect(after).toEqual(before)
  })

  test('takes one of two silus that are multiplied', async () => {
    const graph = graphOf((s) => ({ y: s.mul('mul', s.silu('a', s.x('g')), s.silu('b', s.x('u'))) }))
    expect(kindsOf(removeDead.run(await apply(fuseGatedActivation, graph))).sort()).toEqual([
      'silu',
      'swiglu',
    ])
  })

  test('takes a gate that is itself gated', async () => {
    const graph = graphOf((s) => {
      const inner = s.mul('inner', s.silu('a', s.x('g')), s.x('u'))
      return { y: s.mul('outer', s.silu('b', inner), s.x('v')) }
    })
    expect(kindsOf(removeDead.run(await apply(fuseGatedActivation, graph)))).toEqual(['swiglu', 'swiglu'])
  })
})

describe('fuseEpilogue', () => {
  test('folds bias, activation and residual, in that order', async () => {
    const graph = graphOf((s) => {
      const y = s.silu('act', s.bias('bias', s.linear('proj', s.x())))
      return { y: s.add('residual', s.x('r'), y) }
    })
    const after = await apply(fuseEpilogue, graph)
    expect(kindsOf(after)).toEqual(['linear'])
    expect(after.ops.at(-1)).toMatchObject({ origin: 'proj', attrs: { activation: 'silu' } })
    expect(Object.keys(after.ops.at(-1)!.inputs)).toEqual(['x', 'w', 'bias', 'residual'])
  })

  test.each([true, false])('folds a residual on either side, the linear first: %s', async (isFirst) => {
    const graph = graphOf((s) => {
      const [y, r] = [s.linear('proj', s.x()), s.x('r')]
      return { y: isFirst ? s.add('residual', y, r) : s.add('residual', r, y) }
    })
    expect(kindsOf(await apply(fuseEpilogue, graph))).toEqual(['linear'])
  })

  test('takes the dtype of what it folds', () => {
    const s = new Small()
    const w = s.weight('w', width, width)
    const half = s.b.apply('linear', 'proj', { x: s.x(), w }, { dtype: 'f16', activation: 'none' })
    s.b.output('y', s.add('residual', half, s.x('r')))
    const after = fuseEpilogue.run(s.b.finish())
    verifyGraph(after)
    expect(after.ops.at(-1)).toMatchObject({ kind: 'linear', attrs: { dtype: 'f32' } })
  })

  test('folds one of two linears that are added', async () => {
    const graph = graphOf((s) => ({ y: s.add('sum', s.linear('a', s.x()), s.linear('b', s.x())) }))
    const after = await apply(fuseEpilogue, graph)
    expect(kindsOf(after)).toEqual(['linear', 'linear'])
    expect(after.ops.filter(({ inputs }) => inputs['residual'] !== undefined)).toHaveLength(1)
  })

  test.each<[reason: string, build: (s: Small) => Record<string, ValueId>]>([
    [
      'two readers need the result',
      (s) => {
        const y = s.linear('proj', s.x())
        return { y: s.silu('act', y), z: s.bias('bias', y) }
      },
    ],
    [
      'the result is an output too',
      (s) => {
        const y = s.linear('proj', s.x())
        return { y, z: s.silu('act', y) }
      },
    ],
    [
      'the result is added to itself',
      (s) => {
        const y = s.linear('proj', s.x())
        return { y: s.add('double', y, y) }
      },
    ],
    ['the follower is a product', (s) => ({ y: s.mul('mul', s.linear('proj', s.x()), s.x('r')) })],
    [
      'the bias follows the activation',
      (s) => ({ y: s.bias('bias', s.linear('proj', s.x(), { activation: 'silu' })) }),
    ],
    [
      'there is a bias already',
      (s) => ({ y: s.bias('bias', s.linear('proj', s.x(), { bias: s.weight('first', width) })) }),
    ],
    [
      'there is an activation already',
      (s) => ({ y: s.silu('act', s.linear('proj', s.x(), { activation: 'silu' })) }),
    ],
  ])('leaves a linear where %s', async (_reason, build) => {
    const [before, after] = await kindsAround(fuseEpilogue, graphOf(build))
    expect(after).toEqual(before)
  })

  test.each(['add', 'silu', 'bias'] as const)('folds nothing after a residual, such as %s', async (kind) => {
    const graph = graphOf((s) => {
      const y = s.add('residual', s.linear('proj', s.x()), s.x('r'))
      return { y: kind === 'add' ? s.add('more', y, s.x('q')) : s[kind]('more', y) }
    })
    const after = await apply(fuseEpilogue, graph)
    expect(kindsOf(after)).toEqual(['linear', kind === 'bias' ? 'biasAdd' : kind])
  })
})

describe('mergeLinears', () => {
  const merged = (graph: Graph): Graph['ops'][number] => graph.ops.find(({ kind }) => kind === 'linear')!

  test('stacks linears of one input and cuts their results out again', async () => {
    const graph = graphOf((s) => {
      const x = s.x()
      const part = (name: string, rows: number): ValueId => s.linear(`attn.${name}`, x, { rows })
      return { y: s.silu('q', part('q', 6)), k: s.silu('k', part('k', 2)), v: s.silu('v', part('v', 2)) }
    })
    const after = await apply(mergeLinears, graph)
    expect(kindsOf(after)).toEqual(['linear', 'slice', 'slice', 'slice', 'silu', 'silu', 'silu'])
    expect(after.values[merged(after).outputs['y']!]!.shape).toEqual([symbol('T'), 10])
    expect(merged(after).origin).toBe('attn.q+k+v')
    expect(after.ops.flatMap((op) => (op.kind === 'slice' ? [op.attrs] : []))).toEqual([
      { start: 0, length: 6 },
      { start: 6, length: 2 },
      { start: 8, length: 2 },
    ])
  })

  test('stacks biases too, when all have one', async () => {
    const graph = graphOf((s) => {
      const x = s.x()
      const part = (name: string): ValueId => s.linear(name, x, { bias: s.weight(`${name}.b`, width) })
      return { y: s.mul('mul', part('a'), part('b')) }
    })
    const after = await apply(mergeLinears, graph)
    expect(kindsOf(after)).toEqual(['linear', 'slice', 'slice', 'mul'])
    expect(merged(after).inputs['bias']).toBeDefined()
  })

  test('merges linears that read results of merged ones', async () => {
    const graph = graphOf((s) => {
      const x = s.x()
      const [a, b] = [s.linear('a', x), s.linear('b', x)]
      return { y: s.mul('mul', s.linear('c', a), s.linear('d', a)), z: s.silu('act', b) }
    })
    const after = await apply(mergeLinears, graph)
    expect(kindsOf(after).filter((kind) => kind === 'linear')).toHaveLength(2)
    expect(kindsOf(after).filter((kind) => kind === 'slice')).toHaveLength(4)
  })

  test.each<[reason: string, build: (s: Small) => Record<string, ValueId>]>([
    ['the inputs differ', (s) => ({ y: s.mul('mul', s.linear('a', s.x('x')), s.linear('b', s.x('z'))) })],
    [
      'one has a bias and the other none',
      (s) => {
        const x = s.x()
        return { y: s.mul('mul', s.linear('a', x, { bias: s.weight('bias', width) }), s.linear('b', x)) }
      },
    ],
    [
      'both have an activation',
      (s) => {
        const x = s.x()
        return {
          y: s.mul('mul', s.linear('a', x, { activation: 'silu' }), s.linear('b', x, { activation: 'silu' })),
        }
      },
    ],
    [
      'one has a residual',
      (s) => {
        const x = s.x()
        const w = s.weight('r.w', width, width)
        const a = s.b.apply('linear', 'r', { x, w, residual: s.x('r') }, { ...f32, activation: 'none' })
        return { y: s.mul('mul', a, s.linear('b', x)) }
      },
    ],
    [
      'one matrix is computed',
      (s) => {
        const x = s.x()
        const w = s.b.apply('silu', 'computed', { x: s.weight('w', width, width) }, f32)
        const a = s.b.apply('linear', 'a', { x, w }, { ...f32, activation: 'none' })
        return { y: s.mul('mul', a, s.linear('b', x)) }
      },
    ],
    ['there is only one', (s) => ({ y: s.silu('act', s.linear('a', s.x())) })],
    [
      'the result of one is an output, which cannot be a view',
      (s) => {
        const x = s.x()
        const a = s.linear('a', x)
        return { a, y: s.mul('mul', a, s.linear('b', x)) }
      },
    ],
  ])('leaves linears where %s', async (_reason, build) => {
    const [before, after] = await kindsAround(mergeLinears, graphOf(build))
    expect(after).toEqual(before)
  })

  test('leaves linears whose results have different dtypes', () => {
    const s = new Small()
    const x = s.x()
    const attrs = { dtype: 'f16', activation: 'none' } as const
    const half = s.b.apply('linear', 'half', { x, w: s.weight('w', width, width) }, attrs)
    s.b.output('y', s.mul('mul', half, s.linear('b', x)))
    expect(kindsOf(mergeLinears.run(s.b.finish()))).toEqual(['linear', 'linear', 'mul'])
  })
})

describe('removeDead', () => {
  test('drops ops, values and inputs that no output needs, and renumbers the rest', async () => {
    const graph = graphOf((s) => {
      const y = s.silu('act', s.x())
      s.b.input('unused', 'i32', [1])
      s.bias('dead', s.linear('dead', y))
      return { y }
    })
    const before = runGraph(createReferenceDevice(), graph, {
      dims: { T: 1, S: 1, R: 1 },
      values: { ids: [4], unused: [0] },
    })
    const after = removeDead.run(graph)
    verifyGraph(after)
    expect(kindsOf(after)).toEqual(['silu'])
    expect(after.values.map(({ name }) => name)).toEqual(['ids', 'table:x table', 'x.y', 'act.y'])
    expect(after.inputs).toHaveLength(1)
    const { y } = await runGraph(createReferenceDevice(), after, {
      dims: { T: 1, S: 1, R: 1 },
      values: { ids: [4] },
    })
    expect(y!.data).toEqual((await before)['y']!.data)
  })

  test('leaves a graph without dead values as it is', () => {
    const graph = graphOf((s) => ({ y: s.silu('act', s.linear('proj', s.x())) }))
    expect(removeDead.run(graph)).toEqual(graph)
  })

  test('keeps the writes of states, whose last versions are outputs, and an op of which one result is read', () => {
    const s = new Small()
    const shape = [2, 1, 4, width]
    const [kCache, vCache] = [s.b.state('k', 'f32', shape), s.b.state('v', 'f32', shape)]
    const slots = s.b.input('slots', 'i32', [symbol('T')])
    const kv = { numKvHeads: 1, headDim: width, blockSize: 4 }
    const { kNext, vNext } = s.b.op(
      'kvWrite',
      'write',
      { k: s.x('k'), v: s.x('v'), slots, kCache, vCache },
      kv,
    )
    s.b.output('k', kNext!)
    s.b.output('v', vNext!)
    const graph = s.b.finish()
    expect(kindsOf(removeDead.run(graph))).toEqual(['kvWrite'])
    const half = removeDead.run({ ...graph, outputs: { k: kNext! } })
    expect(kindsOf(half)).toEqual(['kvWrite'])
    const written = Object.values(half.ops.at(-1)!.outputs).map((id) => half.values[id]!.name)
    expect(written).toEqual(['write.kNext', 'write.vNext'])
    // The control: without the outputs nothing is live, and the states themselves stay for the plans that share them.
    const empty = removeDead.run({ ...graph, outputs: {} })
    expect(empty.ops).toEqual([])
    expect(empty.states).toEqual(graph.states)
  })
})
