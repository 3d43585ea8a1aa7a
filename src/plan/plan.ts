// Graph → Plan: places every value in a buffer, chooses a kernel for every op, and lists the dispatches.

import type { BufferId, ValueId } from '../core/brand.ts'
import { RuntimeFault, invariant } from '../core/errors.ts'
import { evalDim, numElements, type DimEnv } from '../graph/dim.ts'
import { valueOf, type Graph, type Op, type Value } from '../graph/graph.ts'
import { opDef } from '../graph/ops/index.ts'
import { printExpr } from '../graph/weightExpr.ts'
import { assembleShader } from '../kernels/assemble.ts'
import type { KernelProblem, KernelSet, TensorView } from '../kernels/spec.ts'
import { colourRanges, type LiveRange } from './memory.ts'
import { layoutStep } from './step.ts'
import {
  tensorBytes,
  type BoundBuffer,
  type Capabilities,
  type Dispatch,
  type Plan,
  type PlanBuffer,
  type StepLayout,
  type TensorLocation,
} from './types.ts'

export interface PlanOptions {
  readonly kernels: KernelSet
  readonly capabilities: Capabilities
  readonly maxima: DimEnv
}

/** Throws plan/limit if a buffer or grid exceeds the capabilities, kernel/unsupported if an op has no kernel. */
export function makePlan(graph: Graph, options: PlanOptions): Plan {
  const { maxima, capabilities } = options
  const step = layoutStep(graph, maxima)
  const placed = placeValues(graph, maxima, step)
  for (const buffer of placed.buffers) checkBufferSize(buffer, capabilities)
  const dispatches = graph.ops
    .filter((op) => opDef(op.kind).view !== true)
    .map((op) => makeDispatch(op, placed.locations, placed.buffers, step, options))
  const outputs = Object.fromEntries(
    Object.entries(graph.outputs).map(([name, id]) => [name, locationOf(placed.locations, id)]),
  )
  return { graph, maxima, buffers: placed.buffers, dispatches, step, outputs }
}

/** Equal keys mean equal bytes on the device: plans share weights by it. */
export function weightKey(value: Value): string {
  invariant(value.source.kind === 'weight', `${value.name} is a weight`)
  return `${value.dtype} ${printExpr(value.source.expr)}`
}

function locationOf(locations: ReadonlyMap<ValueId, TensorLocation>, id: ValueId): TensorLocation {
  const location = locations.get(id)
  invariant(location !== undefined, `value ${id} has a place`)
  return location
}

function placeValues(
  graph: Graph,
  maxima: DimEnv,
  step: StepLayout,
): { buffers: PlanBuffer[]; locations: Map<ValueId, TensorLocation> } {
  const buffers: PlanBuffer[] = []
  const locations = new Map<ValueId, TensorLocation>()
  const nextId = (): BufferId => buffers.length as BufferId
  const place = (value: Value, buffer: BufferId, offset = 0): void => {
    // A vector has no rows to step between; zero keeps its kernels alike in plans of different maxima.
    const rowStride = value.shape.length > 1 ? evalDim(value.shape.at(-1)!, maxima) : 0
    locations.set(value.id, { buffer, dtype: value.dtype, shape: value.shape, rowStride, offset })
  }

  const stepBuffer = nextId()
  buffers.push({ id: stepBuffer, role: 'step', label: 'step', bytes: step.words * 4 })
  graph.inputs.forEach((id, index) => place(valueOf(graph, id), stepBuffer, step.fields[index]!.offset))

  const states = graph.states.map((state): BufferId => {
    const id = nextId()
    const elements = state.shape.reduce((product, dim) => product * dim, 1)
    buffers.push({
      id,
      role: 'state',
      label: state.name,
      bytes: tensorBytes(elements, state.dtype),
      state: state.id,
    })
    return id
  })
  for (const value of graph.values) {
    if (value.state !== undefined) place(value, states[value.state]!)
    if (value.source.kind !== 'weight') continue
    const bytes = tensorBytes(numElements(value.shape, maxima), value.dtype)
    const { expr } = value.source
    const id = nextId()
    buffers.push({
      id,
      role: 'weight',
      label: value.name,
      bytes,
      key: weightKey(value),
      expr,
      dtype: value.dtype,
    })
    place(value, id)
  }

  const scratch = scratchRanges(graph, maxima)
  const { colours, sizes } = colourRanges(scratch.map(({ range }) => range))
  const arena = sizes.map((bytes, slot): BufferId => {
    const id = nextId()
    buffers.push({ id, role: 'arena', label: `arena${slot}`, bytes, slot })
    return id
  })
  scratch.forEach(({ value }, index) => place(value, arena[colours[index]!]!))
  placeViews(graph, locations)
  return { buffers, locations }
}

/** Views lie inside the buffer of what they look at. */
function placeViews(graph: Graph, locations: Map<ValueId, TensorLocation>): void {
  for (const op of graph.ops) {
    if (op.kind !== 'slice') continue
    const base = locationOf(locations, op.inputs['x']!)
    const view = valueOf(graph, op.outputs['y']!)
    locations.set(view.id, { ...base, shape: view.shape, offset: base.offset + op.attrs.start })
  }
}

/** Values that need scratch memory, with their lives in op indices; a view keeps its base alive. */
function scratchRanges(graph: Graph, maxima: DimEnv): { value: Value; range: LiveRange }[] {
  const base = new Map<ValueId, ValueId>()
  const lives = new Map<ValueId, { first: number; last: number }>()
  const touch = (id: ValueId, index: number): void => {
    const life = lives.get(base.get(id) ?? id)
    if (life !== undefined) life.last = Math.max(life.last, index)
  }
  graph.ops.forEach((op, index) => {
    for (const id of Object.values(op.inputs)) touch(id, index)
    for (const id of Object.values(op.outputs)) {
      if (op.kind === 'slice') base.set(id, base.get(op.inputs['x']!) ?? op.inputs['x']!)
      else if (valueOf(graph, id).state === undefined) lives.set(id, { first: index, last: index })
    }
  })
  for (const id of Object.values(graph.outputs)) touch(id, graph.ops.length)
  return [...lives].map(([id, life]) => {
    const value = valueOf(graph, id)
    const bytes = tensorBytes(numElements(value.shape, maxima), value.dtype)
    return { value, range: { bytes, ...life } }
  })
}

function makeDispatch(
  op: Op,
  locations: ReadonlyMap<ValueId, TensorLocation>,
  buffers: readonly PlanBuffer[],
  step: StepLayout,
  { kernels, capabilities, maxima }: PlanOptions,
): Dispatch {
  const tensors: Record<string, TensorView> = {}
  const places: Record<string, TensorLocation> = {}
  for (const [name, id] of [...Object.entries(op.inputs), ...Object.entries(op.outputs)]) {
    const place = locationOf(locations, id)
    places[name] = place
    // Step inputs are bound at their own offset, so kernels see them from zero.
    tensors[name] = isStepInput(buffers, place) ? { ...place, offset: 0 } : place
  }
  const problem: KernelProblem = { op, tensors, maxima }
  const variant = kernels.select(problem, capabilities)
  const config = variant.configure(problem, capabilities)
  const bindings = config.bindings.map(({ tensor, access }): BoundBuffer => {
    const place = places[tensor]
    invariant(place !== undefined, `${variant.name} binds an operand of ${op.kind}`)
    const buffer = buffers[place.buffer]!
    if (!isStepInput(buffers, place)) return { buffer: buffer.id, offset: 0, bytes: buffer.bytes, access }
    const field = step.fields.find(({ offset }) => offset === place.offset)
    invariant(field !== undefined, `${tensor} is a field of the step`)
    return { buffer: buffer.id, offset: field.offset * 4, bytes: Math.max(field.capacity, 1) * 4, access }
  })
  const dispatch: Dispatch = {
    kind: 'kernel',
    origin: op.origin,
    op: op.kind,
    variant: variant.name,
    shader: assembleShader(variant, config, problem, capabilities),
    bindings,
    workgroupSize: config.workgroupSize,
    grid: config.grid,
  }
  checkDispatch(dispatch, maxima, capabilities)
  return dispatch
}

function isStepInput(buffers: readonly PlanBuffer[], place: TensorLocation): boolean {
  return buffers[place.buffer]?.role === 'step'
}

function checkBufferSize(buffer: PlanBuffer, { maxBindingBytes, maxBufferBytes }: Capabilities): void {
  const limit = Math.min(maxBindingBytes, maxBufferBytes)
  if (buffer.bytes <= limit) return
  throw new RuntimeFault('plan/limit', {
    where: `${buffer.role} ${buffer.label}`,
    expected: `at most ${limit} bytes in one binding`,
    got: `${buffer.bytes} bytes`,
    fix: 'Use a smaller model, maxSeqLen or batch, or an adapter with larger bindings.',
  })
}

/** The rules that WebGPU would enforce at encode time, found while planning. */
export function checkDispatch(dispatch: Dispatch, maxima: DimEnv, capabilities: Capabilities): void {
  const written = dispatch.bindings
    .filter(({ access }) => access === 'read_write')
    .map(({ buffer }) => buffer)
  const isAliased = dispatch.bindings.some(
    ({ access, buffer }) => access === 'read' && written.includes(buffer),
  )
  if (isAliased || new Set(written).size !== written.length) {
    throw new RuntimeFault('plan/alias', {
      where: `${dispatch.origin} (${dispatch.variant})`,
      expected: 'each written buffer bound once in a dispatch',
      got: dispatch.bindings.map(({ access, buffer }) => `${buffer}:${access}`).join(' '),
      fix: 'Mend the memory planner or the graph: inputs and outputs need different buffers.',
    })
  }
  const workgroups = dispatch.grid.map((dim) => evalDim(dim, maxima))
  if (workgroups.some((count) => count > capabilities.maxWorkgroupsPerDimension)) {
    throw new RuntimeFault('plan/limit', {
      where: `${dispatch.origin} (${dispatch.variant})`,
      expected: `at most ${capabilities.maxWorkgroupsPerDimension} workgroups in a dimension`,
      got: workgroups.join(' × '),
      fix: 'Plan for fewer tokens in a step.',
    })
  }
}
