// Where a plan puts the parts of a concat: in the buffer of the whole, alive from the first write to the last read, and
// never where a dispatch would read and write one buffer.

import { describe, expect, test } from 'vitest'
import type { BufferId, ValueId } from '../../../src/core/brand.ts'
import { GraphBuilder } from '../../../src/graph/builder.ts'
import { symbol } from '../../../src/graph/dim.ts'
import type { Graph } from '../../../src/graph/graph.ts'
import { tensor } from '../../../src/graph/weightExpr.ts'
import { wgslKernels } from '../../../src/kernels/index.ts'
import { inferencePassesFor, runPasses } from '../../../src/passes/index.ts'
import { viewValues } from '../../../src/plan/place.ts'
import { makePlan } from '../../../src/plan/plan.ts'
import { printPlan } from '../../../src/plan/print.ts'
import type { BoundBuffer, Plan } from '../../../src/plan/types.ts'
import { minimalCapabilities, tinyLlama } from '../models/tinyLlama.ts'

const maxima = { T: 8, S: 3, R: 3 }
const f32 = { dtype: 'f32' } as const

function planOf(graph: Graph, maxBindingBytes = minimalCapabilities.maxBindingBytes): Plan {
  const capabilities = { ...minimalCapabilities, maxBindingBytes }
  return makePlan(graph, { kernels: wgslKernels, capabilities, maxima })
}

class Joined {
  readonly b: GraphBuilder = new GraphBuilder('joined')
  readonly ids: ValueId = this.b.input('ids', 'i32', [symbol('T')])

  embed(name: string, width: number): ValueId {
    return this.b.apply(
      'embedding',
      name,
      { table: this.b.weight(tensor(name, [5, width]), 'f32'), ids: this.ids },
      f32,
    )
  }
  concat(...parts: ValueId[]): ValueId {
    return this.b.apply('concat', 'whole', Object.fromEntries(parts.map((id, i) => [`x${i}`, id])), {})
  }
}

describe('parts', () => {
  test('have the stride of the whole and their own columns, also inside another concat', () => {
    const s = new Joined()
    const [a, b, c] = [s.embed('a', 4), s.embed('b', 8), s.embed('c', 12)]
    const inner = s.concat(a, b)
    const whole = s.concat(c, inner)
    const cut = s.b.apply('slice', 'cut', { x: whole }, { start: 10, length: 6 })
    s.b.output('y', s.b.apply('silu', 'act', { x: cut }, f32))
    const views = viewValues(s.b.finish(), maxima)
    const columns = ([id]: [ValueId]): number[] => [views[id]!.rowStride, views[id]!.offset]
    expect([[c], [a], [b], [inner], [whole], [cut]].map((one) => columns(one as [ValueId]))).toEqual([
      [24, 0],
      [24, 12],
      [24, 16],
      [24, 12],
      [24, 0],
      [24, 10],
    ])
    expect(views[b]!.shape).toEqual([symbol('T'), 8])
  })

  test('are written into one buffer, which other values leave alone until the whole has been read', () => {
    const s = new Joined()
    const a = s.embed('a', 4)
    const between = s.b.apply('silu', 'between', { x: s.embed('other', 4) }, f32)
    const whole = s.concat(a, s.embed('b', 4))
    s.b.output('between', between)
    s.b.output('y', s.b.apply('silu', 'act', { x: whole }, f32))
    const plan = planOf(s.b.finish())
    const target = (origin: string): BufferId => writesOf(plan, origin)[0]!.buffer
    expect(target('a')).toBe(target('b'))
    expect([target('other'), target('between'), target('act')]).not.toContain(target('a'))
  })

  test.each<[what: string, part: (s: Joined) => ValueId]>([
    ['a view', (s) => s.b.apply('slice', 'cut', { x: s.embed('a', 8) }, { start: 0, length: 4 })],
    ['a weight', (s) => s.b.weight(tensor('w', [5, 4]), 'f32')],
    [
      'a part of another concat',
      (s) => {
        const a = s.embed('a', 4)
        s.b.output('other', s.b.apply('silu', 'act', { x: s.concat(a) }, f32))
        return a
      },
    ],
  ])('cannot be %s', (_what, part) => {
    const s = new Joined()
    const whole = s.concat(part(s))
    s.b.output('y', s.b.apply('silu', 'act', { x: whole }, f32))
    expect(() => planOf(s.b.finish())).toThrow(/^\[internal\].* can be written where whole wants it/)
  })
})

function writesOf({ dispatches }: Plan, origin: string): BoundBuffer[] {
  const dispatch = dispatches.find((candidate) => candidate.origin === origin)!
  return dispatch.bindings.filter(({ access }) => access === 'read_write')
}

describe('a split Llama', () => {
  const graph = runPasses(tinyLlama({ numLayers: 1 }, { head: 'logits' }), inferencePassesFor(640))

  test('reads and writes no buffer at once, and what it reads is whole', () => {
    // Follows what each buffer holds: the values written since its last other use. A reader must find all its parts.
    const plan = planOf(graph)
    const wholeOf = new Map<ValueId, ValueId>()
    const partsOf = new Map<ValueId, ValueId[]>()
    for (const op of graph.ops.toReversed()) {
      if (op.kind !== 'concat') continue
      const whole = op.outputs['y']!
      partsOf.set(whole, Object.values(op.inputs))
      for (const id of Object.values(op.inputs)) wholeOf.set(id, whole)
    }
    const sliced = new Map<ValueId, ValueId>()
    const held = new Map<BufferId, { value: ValueId; parts: ValueId[] }>()
    const dispatching = graph.ops.filter((op) => {
      if (op.kind === 'slice') sliced.set(op.outputs['y']!, op.inputs['x']!)
      return op.kind !== 'slice' && op.kind !== 'concat'
    })
    let numWhole = 0
    plan.dispatches.forEach(({ bindings, origin }, index) => {
      const op = dispatching[index]!
      const names = bindings.map(({ access }) => access)
      const written = bindings.filter((_, i) => names[i] === 'read_write').map(({ buffer }) => buffer)
      const inputs = Object.values(op.inputs).map((id) => sliced.get(id) ?? id)
      bindings.forEach(({ buffer, access }) => {
        if (access !== 'read' || plan.buffers[buffer]!.role !== 'arena') return
        expect(written, `of ${origin}`).not.toContain(buffer)
        const { value, parts } = held.get(buffer)!
        expect(inputs, `of ${origin}`).toContain(value)
        const expected = partsOf.get(value)
        if (expected === undefined) return
        expect(parts, `of ${origin}`).toEqual(expected)
        numWhole++
      })
      Object.values(op.outputs).forEach((id, i) => {
        const value = wholeOf.get(id) ?? id
        const before = held.get(written[i]!)
        const parts = before?.value === value ? [...before.parts, id] : [id]
        held.set(written[i]!, { value, parts })
      })
    })
    // Of Q, K and V; of o_proj and down_proj, each read by a norm and as a residual; of gate and up.
    expect(numWhole).toBeGreaterThanOrEqual(5)
  })

  test('keeps every binding within the limit', () => {
    const limit = 2560
    const { buffers } = planOf(runPasses(tinyLlama({ numLayers: 1 }), inferencePassesFor(640)), limit)
    const weights = buffers.filter(({ role }) => role === 'weight').map(({ bytes }) => bytes)
    expect(Math.max(...weights)).toBeLessThanOrEqual(640)
  })

  test('reads as bands that share buffers', () => {
    const lines = printPlan(planOf(graph)).split('\n')
    expect(lines.filter((line) => /# (embed_tokens|layers.0.mlp|lm_head)/.test(line)).join('\n'))
      .toMatchInlineSnapshot(`
        "embedding  [1, T, 1]  read b8+0, read b30+0, read_write b27+0  # embed_tokens[0:8]
        embedding  [1, T, 1]  read b9+0, read b30+0, read b27+0, read_write b28+0  # embed_tokens[8:16]
        embedding  [1, T, 1]  read b10+0, read b30+0, read b28+0, read_write b29+0  # embed_tokens[16:24]
        linear_rows  [1, ceil(T/4), 1]  read b29+0, read b17+0, read_write b27+0  # layers.0.mlp.gate_proj+up_proj[0:4]
        linear_rows  [1, ceil(T/4), 1]  read b29+0, read b18+0, read_write b27+0  # layers.0.mlp.gate_proj+up_proj[4:8]
        linear_rows  [1, ceil(T/4), 1]  read b29+0, read b19+0, read_write b27+0  # layers.0.mlp.gate_proj+up_proj[8:12]
        linear_rows  [1, ceil(T/4), 1]  read b29+0, read b20+0, read_write b27+0  # layers.0.mlp.gate_proj+up_proj[12:16]
        linear_rows  [1, ceil(T/4), 1]  read b29+0, read b21+0, read_write b27+0  # layers.0.mlp.gate_proj+up_proj[16:20]
        linear_rows  [1, ceil(T/4), 1]  read b27+0, read b22+0, read b28+0, read_write b29+0  # layers.0.mlp.down_proj[0:8]
        linear_rows  [1, ceil(T/4), 1]  read b27+0, read b23+0, read b28+0, read_write b29+0  # layers.0.mlp.down_proj[8:16]
        linear_rows  [1, ceil(R/4), 1]  read b28+0, read b24+0, read_write b27+0  # lm_head[0:8]
        linear_rows  [1, ceil(R/4), 1]  read b28+0, read b25+0, read_write b27+0  # lm_head[8:16]
        linear_rows  [1, ceil(R/4), 1]  read b28+0, read b26+0, read_write b27+0  # lm_head[16:24]"
      `)
  })
})
