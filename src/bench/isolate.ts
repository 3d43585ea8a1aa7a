// Takes single ops out of a model's graph, so that each kernel can be timed at the shapes at which the model runs it.
// Results of other ops become weights of random numbers; dimensions become the numbers of one step.

import type { ValueId } from '../core/brand.ts'
import { GraphBuilder } from '../graph/builder.ts'
import { evalDim, printShape, type DimEnv } from '../graph/dim.ts'
import { valueOf, type Graph, type Op, type Value } from '../graph/graph.ts'
import { opDef, type OpKind } from '../graph/ops/index.ts'
import { tensor, type WeightExpr } from '../graph/weightExpr.ts'

export interface IsolatedOp {
  readonly kind: OpKind
  /** `layers.*.mlp.down_proj`. */
  readonly origin: string
  /** `x [1, 768] f32, w [768, 2048] f32 → y [1, 768] f32`. */
  readonly shape: string
  /** The op, `copies` times over weights of their own; the origin of each ends in `#copy`. */
  readonly graph: Graph
  readonly copies: number
}

const maxCopies = 64

/**
 * Every distinct op of a graph at the sizes of `dims`; ops that differ only in their layer count once. The weights of
 * all copies of an op have about `weightBytes`, so that no cache holds a copy until its next turn.
 */
export function isolateOps(graph: Graph, dims: DimEnv, weightBytes: number): IsolatedOp[] {
  const found = new Map<string, IsolatedOp>()
  for (const op of graph.ops) {
    if (opDef(op.kind).view === true) continue
    const shape = describe(graph, op, dims)
    const key = `${op.kind} ${JSON.stringify(op.attrs)} ${shape}`
    if (!found.has(key)) found.set(key, isolate(graph, op, dims, shape, weightBytes))
  }
  return [...found.values()]
}

function isolate(graph: Graph, op: Op, dims: DimEnv, shape: string, weightBytes: number): IsolatedOp {
  const producers = new Map(graph.ops.flatMap((each) => Object.values(each.outputs).map((id) => [id, each])))
  const b = new GraphBuilder(op.kind)
  const known = new Map<string, ValueId>()
  const place = (id: ValueId, copy: number): ValueId => {
    const value = valueOf(graph, id)
    // Only real weights are copied: activations are warm in a model too.
    const key = `${id} ${value.source.kind === 'weight' ? copy : 0}`
    const placed = known.get(key) ?? add(value, copy)
    known.set(key, placed)
    return placed
  }
  const add = (value: Value, copy: number): ValueId => {
    const shape = value.shape.map((dim) => evalDim(dim, dims))
    const producer = producers.get(value.id)
    if (value.state !== undefined) return b.state(value.name, value.dtype, graph.states[value.state]!.shape)
    if (value.source.kind === 'input') return b.input(value.name, value.dtype, shape)
    if (value.source.kind === 'weight') return b.weight(renamed(value.source.expr, copy), value.dtype)
    if (producer?.kind === 'slice')
      return b.apply('slice', producer.origin, { x: place(producer.inputs['x']!, 0) }, producer.attrs)
    return b.weight(tensor(value.name, shape), value.dtype)
  }
  const copies = copiesOf(graph, op, weightBytes)
  for (let copy = 0; copy < copies; copy++) {
    const inputs = Object.fromEntries(Object.entries(op.inputs).map(([name, id]) => [name, place(id, copy)]))
    const outputs = b.op(op.kind, `${op.origin}#${copy}`, inputs, op.attrs)
    for (const [name, id] of Object.entries(outputs)) b.output(`${name}${copy}`, id)
  }
  return {
    kind: op.kind,
    origin: op.origin.replace(/\blayers\.\d+\b/, 'layers.*'),
    shape,
    graph: b.finish(),
    copies,
  }
}

/** The same weight under another name. */
function renamed(expr: WeightExpr, copy: number): WeightExpr {
  if (copy === 0) return expr
  switch (expr.kind) {
    case 'tensor':
    case 'table':
      return { ...expr, name: `${expr.name}#${copy}` }
    case 'slice':
      return { ...expr, of: renamed(expr.of, copy) }
    case 'concat':
      return { ...expr, parts: expr.parts.map((part) => renamed(part, copy)) }
    default:
      // A kind that cannot be renamed is shared by all copies, which only makes it warmer.
      return expr
  }
}

function copiesOf(graph: Graph, op: Op, weightBytes: number): number {
  // An op that writes a state cannot stand beside its own copy.
  if (Object.values(op.outputs).some((id) => valueOf(graph, id).state !== undefined)) return 1
  let bytes = 0
  for (const id of Object.values(op.inputs)) {
    const { source, shape, dtype } = valueOf(graph, id)
    if (source.kind !== 'weight' || source.expr.kind === 'table') continue
    bytes += shape.reduce<number>(
      (product, dim) => product * (typeof dim === 'number' ? dim : 0),
      dtype === 'f16' ? 2 : 4,
    )
  }
  return bytes === 0 ? 4 : Math.min(maxCopies, Math.max(2, Math.ceil(weightBytes / bytes)))
}

function describe(graph: Graph, op: Op, dims: DimEnv): string {
  const side = (ids: Readonly<Record<string, ValueId>>): string =>
    Object.entries(ids)
      .map(([name, id]) => {
        const { shape, dtype } = valueOf(graph, id)
        return `${name} ${printShape(shape.map((dim) => evalDim(dim, dims)))} ${dtype}`
      })
      .join(', ')
  return `${side(op.inputs)} → ${side(op.outputs)}`
}
