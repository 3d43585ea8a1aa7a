// Runs a graph once on a device: plans it, loads table weights, fills states, runs a step, reads the outputs.

import type { StateId } from '../../src/core/brand.ts'
import type { Device, DeviceBuffer, StepOutput } from '../../src/device/device.ts'
import { loadWeights } from '../../src/engine/loadWeights.ts'
import type { DimEnv } from '../../src/graph/dim.ts'
import type { Graph } from '../../src/graph/graph.ts'
import { wgslKernels } from '../../src/kernels/index.ts'
import type { KernelSet } from '../../src/kernels/spec.ts'
import { makePlan } from '../../src/plan/plan.ts'
import { StepWriter, type StepValues } from '../../src/plan/stepLayout.ts'
import { tensorBytes } from '../../src/plan/types.ts'
import type { Checkpoint } from '../../src/weights/checkpoint.ts'

export const noCheckpoint: Checkpoint = {
  name: 'none',
  tensors: new Map(),
  totalBytes: 0,
  read: () => Promise.reject(new Error('no tensors')),
  close: () => Promise.resolve(),
}

export interface RunGraphOptions {
  readonly dims: DimEnv
  readonly maxima?: DimEnv
  readonly values: StepValues
  readonly kernels?: KernelSet
  readonly outputs?: readonly string[]
  /** Runs after the step, before anything is freed. */
  readonly check?: () => Promise<void>
}

/** Outputs of one step; everything it allocated is freed. */
export async function runGraph(
  device: Device,
  graph: Graph,
  options: RunGraphOptions,
): Promise<Readonly<Record<string, StepOutput>>> {
  const { dims, values, maxima = dims, kernels = wgslKernels } = options
  const plan = makePlan(graph, { kernels, capabilities: device.capabilities, maxima })
  const weights = await loadWeights(device, [plan], noCheckpoint)
  const states = new Map<StateId, DeviceBuffer>()
  for (const state of graph.states) {
    const elements = state.shape.reduce((product, dim) => product * dim, 1)
    states.set(state.id, await device.alloc(tensorBytes(elements, state.dtype), 'states', state.name))
  }
  const arena: DeviceBuffer[] = []
  for (const buffer of plan.buffers) {
    if (buffer.role === 'arena') arena[buffer.slot] = await device.alloc(buffer.bytes, 'arena', buffer.label)
  }
  try {
    const prepared = await device.prepare(plan, { weights, states, arena })
    const step = new StepWriter(plan.step, maxima).write(dims, values)
    const result = await device.run(prepared, step, options.outputs ?? Object.keys(graph.outputs))
    await options.check?.()
    prepared.dispose()
    return result
  } finally {
    for (const buffer of [...weights.values(), ...states.values(), ...arena]) buffer.destroy()
  }
}
