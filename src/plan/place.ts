// Where the values of a plan lie: strides and offsets of tensors, then a buffer for each. Not here: kernels.

import type { BufferId, ValueId } from '../core/brand.ts'
import { invariant } from '../core/errors.ts'
import { elementsOf } from '../core/shape.ts'
import { evalDim, numElements, type Dim, type DimEnv } from '../graph/dim.ts'
import { valueOf, type Graph, type Value } from '../graph/graph.ts'
import { opDef } from '../graph/ops/index.ts'
import { printExpr } from '../graph/weightExpr.ts'
import type { TensorView } from '../kernels/spec.ts'
import { colourRanges, type LiveRange } from './arena.ts'
import { tensorBytes, type PlanBuffer, type StepLayout, type TensorLocation } from './types.ts'

/** Equal keys mean equal bytes on the device: plans share weights by it. */
export function weightKey(value: Value): string {
  invariant(value.source.kind === 'weight', `${value.name} is a weight`)
  return `${value.dtype} ${printExpr(value.source.expr)}`
}

/**
 * Strides and offsets of every value; slices and parts of a concat have the stride of their base. Step inputs are seen
 * from their own start.
 */
export function viewValues(graph: Graph, maxima: DimEnv): TensorView[] {
  const views = graph.values.map(({ dtype, shape }): TensorView => viewOf(dtype, shape, maxima))
  for (const op of graph.ops.toReversed()) {
    if (op.kind !== 'concat') continue
    const whole = views[op.outputs['y']!]!
    let { offset } = whole
    for (const id of Object.values(op.inputs)) {
      const part = views[id]!
      views[id] = { ...part, rowStride: whole.rowStride, offset }
      offset += evalDim(part.shape[1]!, maxima)
    }
  }
  for (const op of graph.ops) {
    if (op.kind !== 'slice') continue
    const base = views[op.inputs['x']!]!
    const id = op.outputs['y']!
    views[id] = { ...base, shape: views[id]!.shape, offset: base.offset + op.attrs.start }
  }
  return views
}

/** A tensor of its own memory. */
export function viewOf(dtype: TensorView['dtype'], shape: readonly Dim[], maxima: DimEnv): TensorView {
  // A vector has no rows to step between; zero keeps its kernels alike in plans of different maxima.
  const rowStride = shape.length > 1 ? evalDim(shape.at(-1)!, maxima) : 0
  return { dtype, shape, rowStride, offset: 0 }
}

/** A scratch tensor of one op, alive during its dispatches only. */
export interface Scratch {
  readonly opIndex: number
  readonly view: TensorView
}

export interface PlacedValues {
  readonly buffers: readonly PlanBuffer[]
  /** By value id; none for values that no op of the graph makes. */
  readonly values: readonly (TensorLocation | undefined)[]
  /** In the order given. */
  readonly scratch: readonly TensorLocation[]
}

export function placeValues(
  graph: Graph,
  views: readonly TensorView[],
  scratch: readonly Scratch[],
  maxima: DimEnv,
  step: StepLayout,
): PlacedValues {
  const buffers: PlanBuffer[] = []
  const nextId = (): BufferId => buffers.length as BufferId
  const bytesOf = ({ dtype, shape }: TensorView): number => tensorBytes(numElements(shape, maxima), dtype)
  const bufferOf = new Map<ValueId, BufferId>()

  const stepBuffer = nextId()
  buffers.push({ id: stepBuffer, role: 'step', label: 'step', bytes: step.words * 4 })
  for (const id of graph.inputs) bufferOf.set(id, stepBuffer)

  const states = graph.states.map((state): BufferId => {
    const id = nextId()
    const elements = elementsOf(state.shape)
    const bytes = tensorBytes(elements, state.dtype)
    buffers.push({ id, role: 'state', label: state.name, bytes, state: state.id })
    return id
  })
  for (const value of graph.values) {
    if (value.state !== undefined) bufferOf.set(value.id, states[value.state]!)
    if (value.source.kind !== 'weight') continue
    const { expr } = value.source
    const id = nextId()
    const bytes = bytesOf(views[value.id]!)
    buffers.push({
      id,
      role: 'weight',
      label: value.name,
      bytes,
      key: weightKey(value),
      expr,
      dtype: value.dtype,
    })
    bufferOf.set(value.id, id)
  }

  const bases = basesOf(graph)
  const lives = scratchLives(graph, bases)
  const ranges = lives.map(({ id, ...life }): LiveRange => ({ ...life, bytes: bytesOf(views[id]!) }))
  for (const { opIndex, view } of scratch)
    ranges.push({ first: opIndex, last: opIndex, bytes: bytesOf(view) })
  const { colours, sizes } = colourRanges(ranges)
  const arena = sizes.map((bytes, slot): BufferId => {
    const id = nextId()
    buffers.push({ id, role: 'arena', label: `arena${slot}`, bytes, slot })
    return id
  })
  lives.forEach(({ id }, index) => bufferOf.set(id, arena[colours[index]!]!))
  for (const [id, base] of bases) bufferOf.set(id, bufferOf.get(base)!)
  return {
    buffers,
    values: views.map((view, index) => {
      const buffer = bufferOf.get(index as ValueId)
      return buffer === undefined ? undefined : { ...view, buffer }
    }),
    scratch: scratch.map(({ view }, index) => ({ ...view, buffer: arena[colours[lives.length + index]!]! })),
  }
}

/** Values that lie inside another one, which is none of them: slices in their source, parts of a concat in the whole. */
function basesOf(graph: Graph): Map<ValueId, ValueId> {
  const bases = new Map<ValueId, ValueId>()
  const baseOf = (id: ValueId): ValueId => bases.get(id) ?? id
  const slices = graph.ops.filter((op) => op.kind === 'slice')
  const cuts = new Set(slices.map((op) => op.outputs['y']!))
  for (const op of graph.ops.toReversed()) {
    if (op.kind !== 'concat') continue
    for (const id of Object.values(op.inputs)) {
      const { source, state, name } = valueOf(graph, id)
      const isFree = source.kind === 'op' && state === undefined && !cuts.has(id) && !bases.has(id)
      invariant(isFree, `${name} can be written where ${op.origin} wants it`)
      bases.set(id, baseOf(op.outputs['y']!))
    }
  }
  for (const op of slices) bases.set(op.outputs['y']!, baseOf(op.inputs['x']!))
  return bases
}

/** Values that need scratch memory, with their lives in op indices, from the first write of a part to the last read. */
function scratchLives(
  graph: Graph,
  bases: ReadonlyMap<ValueId, ValueId>,
): { id: ValueId; first: number; last: number }[] {
  const lives = new Map<ValueId, { first: number; last: number }>()
  const touch = (id: ValueId, index: number): void => {
    const life = lives.get(bases.get(id) ?? id)
    if (life !== undefined) life.last = Math.max(life.last, index)
  }
  graph.ops.forEach((op, index) => {
    const isView = opDef(op.kind).view === true
    for (const id of Object.values(op.inputs)) touch(id, index)
    for (const id of Object.values(op.outputs)) {
      const base = bases.get(id) ?? id
      if (isView || lives.has(base)) touch(id, index)
      else if (valueOf(graph, id).state === undefined) lives.set(base, { first: index, last: index })
    }
  })
  for (const id of Object.values(graph.outputs)) touch(id, graph.ops.length)
  return [...lives].map(([id, life]) => ({ id, ...life }))
}
