// Graph → Plan: chooses a kernel for every op, places every value in a buffer, and lists the dispatches.

import type { ValueId } from '../core/brand.ts'
import { RuntimeFault, invariant } from '../core/errors.ts'
import { evalDim, type DimEnv } from '../graph/dim.ts'
import type { Graph, Op } from '../graph/graph.ts'
import { opDef } from '../graph/ops/index.ts'
import { ShaderAssembler } from '../kernels/assemble.ts'
import type { KernelConfig, KernelProblem, KernelSet, KernelVariant, TensorView } from '../kernels/spec.ts'
import { placeValues, viewOf, viewValues, type PlacedValues, type Scratch } from './place.ts'
import { layoutStep } from './stepLayout.ts'
import type {
  BoundBuffer,
  Capabilities,
  Dispatch,
  Plan,
  PlanBuffer,
  StepLayout,
  TensorLocation,
} from './types.ts'

export interface PlanOptions {
  readonly kernels: KernelSet
  readonly capabilities: Capabilities
  readonly maxima: DimEnv
}

/** The kernel of one op, and where its scratch tensors stand in the plan's list. */
interface Choice {
  readonly opIndex: number
  readonly problem: KernelProblem
  readonly variant: KernelVariant
  readonly scratch: Readonly<Record<string, number>>
}

/** Throws plan/limit if a buffer or grid exceeds the capabilities, kernel/unsupported if an op has no kernel. */
export function makePlan(graph: Graph, options: PlanOptions): Plan {
  const { maxima, capabilities } = options
  const step = layoutStep(graph, maxima)
  const views = viewValues(graph, maxima)
  const scratch: Scratch[] = []
  const choices = graph.ops.map((op, opIndex) =>
    opDef(op.kind).view === true ? undefined : chooseKernel(op, opIndex, views, scratch, options),
  )
  const placed = placeValues(graph, views, scratch, maxima, step)
  for (const buffer of placed.buffers) checkBufferSize(buffer, capabilities)
  const assembler = new ShaderAssembler(capabilities)
  const dispatches = choices.flatMap((choice): Dispatch[] => {
    if (choice === undefined) return []
    const { op } = choice.problem
    const places: Record<string, TensorLocation> = {}
    for (const [name, id] of Object.entries({ ...op.inputs, ...op.outputs }))
      places[name] = placeOf(placed, id)
    for (const [name, index] of Object.entries(choice.scratch)) places[name] = placed.scratch[index]!
    const bind = (config: KernelConfig): BoundBuffer[] =>
      config.bindings.map(({ tensor, access }) =>
        bindTensor(op, tensor, places, placed.buffers, step, access),
      )
    return dispatchesOf(choice, bind, assembler, options)
  })
  const outputs = Object.fromEntries(
    Object.entries(graph.outputs).map(([name, id]) => [name, placeOf(placed, id)]),
  )
  return { graph, maxima, buffers: placed.buffers, dispatches, step, outputs }
}

function placeOf({ values }: PlacedValues, id: ValueId): TensorLocation {
  const place = values[id]
  invariant(place !== undefined, `value ${id} has a place`)
  return place
}

/** Selects the variant and appends what scratch it wants. */
function chooseKernel(
  op: Op,
  opIndex: number,
  views: readonly TensorView[],
  scratch: Scratch[],
  { kernels, capabilities, maxima }: PlanOptions,
): Choice {
  const tensors: Record<string, TensorView> = {}
  for (const [name, id] of Object.entries({ ...op.inputs, ...op.outputs })) tensors[name] = views[id]!
  const problem: KernelProblem = { op, tensors, maxima }
  const variant = kernels.select(problem, capabilities)
  const indices: Record<string, number> = {}
  for (const [name, shape] of Object.entries(variant.scratch?.(problem, capabilities) ?? {})) {
    const view = viewOf('f32', shape, maxima)
    tensors[name] = view
    indices[name] = scratch.push({ opIndex, view }) - 1
  }
  return { opIndex, problem, variant, scratch: indices }
}

function dispatchesOf(
  { opIndex, problem, variant }: Choice,
  bind: (config: KernelConfig) => BoundBuffer[],
  assembler: ShaderAssembler,
  { capabilities, maxima }: PlanOptions,
): Dispatch[] {
  const { op } = problem
  const stages = variant.finish === undefined ? [variant] : [variant, variant.finish]
  return stages.map((stage) => {
    const config = stage.configure(problem, capabilities)
    const dispatch: Dispatch = {
      kind: 'kernel',
      origin: op.origin,
      op: op.kind,
      opIndex,
      variant: stage.name,
      shader: assembler.assemble(stage, config, problem),
      bindings: bind(config),
      workgroupSize: config.workgroupSize,
      grid: config.grid,
    }
    checkDispatch(dispatch, maxima, capabilities)
    return dispatch
  })
}

function bindTensor(
  op: Op,
  tensor: string,
  places: Readonly<Record<string, TensorLocation>>,
  buffers: readonly PlanBuffer[],
  step: StepLayout,
  access: BoundBuffer['access'],
): BoundBuffer {
  const place = places[tensor]
  invariant(place !== undefined, `${op.kind} has a tensor ${tensor}`)
  const buffer = buffers[place.buffer]!
  if (buffer.role !== 'step') return { buffer: buffer.id, offset: 0, bytes: buffer.bytes, access }
  // Step inputs share a buffer, so each is bound at its own offset.
  const id = op.inputs[tensor]
  const field = step.fields.find((candidate) => candidate.value === id)
  invariant(field !== undefined, `${tensor} is a field of the step`)
  return { buffer: buffer.id, offset: field.offset * 4, bytes: Math.max(field.capacity, 1) * 4, access }
}

/** Bytes of the largest tensor that a kernel can see. */
export function bindingLimit({ maxBindingBytes, maxBufferBytes }: Capabilities): number {
  return Math.min(maxBindingBytes, maxBufferBytes)
}

function checkBufferSize(buffer: PlanBuffer, capabilities: Capabilities): void {
  const limit = bindingLimit(capabilities)
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
