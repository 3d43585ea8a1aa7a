// What a loaded model is, as plain data that a message can carry: graph, plans, shaders, buffers.
// Not here: what runs at the moment (llm/cacheState.ts) and how long it takes (kernelTimes.ts).

import type { BufferOwner } from '../device/device.ts'
import { numElements } from '../graph/dim.ts'
import {
  graphDocument,
  planDocument,
  type DispatchDocument,
  type GraphDocument,
  type PlanDocument,
} from '../plan/document.ts'
import { tensorBytes, type Plan } from '../plan/types.ts'
import { placeOf } from './kernelTimes.ts'
import { arenaSizes } from './load.ts'
import { weightsOf } from './loadWeights.ts'

/** A model as it was compiled. */
export interface ModelInspection {
  /** What all plans compute. */
  readonly graph: GraphDocument
  /** One for each kind of step, smallest first: one token, one token a sequence, steps with prefill. */
  readonly plans: readonly PlanInspection[]
  /** Complete WGSL of the kernels; dispatches say which. */
  readonly shaders: readonly string[]
  /** What the plans allocate, shared buffers once. Read-back buffers are not among them. */
  readonly buffers: readonly BufferInspection[]
}

/** A plan, with its kernels' code and the size of its tensors. */
export interface PlanInspection extends PlanDocument {
  /** In execution order. */
  readonly dispatches: readonly DispatchInspection[]
  /** Bytes of each value of the graph in the largest step, by id. */
  readonly valueBytes: readonly number[]
}

/** One launch of a kernel. */
export interface DispatchInspection extends DispatchDocument {
  /** Index of its WGSL among the model's shaders. */
  readonly shader: number
  /** The `origin` under which profiles sum it up, such as `layers.*.mlp.down_proj`. */
  readonly place: string
}

/** Memory on the device. */
export interface BufferInspection {
  /** As in `Engine.memory()`. */
  readonly owner: BufferOwner
  /** Name of the weight or state, or what else is in it. */
  readonly label: string
  /** Size. */
  readonly bytes: number
}

/** Throws nothing; `plans` are those of one graph, smallest first. */
export function inspectPlans(plans: readonly [Plan, ...Plan[]]): ModelInspection {
  const { graph } = plans[0]
  const shaders = new Map<string, number>()
  const shaderOf = (code: string): number => {
    const index = shaders.get(code) ?? shaders.size
    shaders.set(code, index)
    return index
  }
  return {
    graph: graphDocument(graph),
    plans: plans.map((plan) => {
      const document = planDocument(plan)
      return {
        ...document,
        dispatches: document.dispatches.map((dispatch, index) => ({
          ...dispatch,
          shader: shaderOf(plan.dispatches[index]!.shader.code),
          place: placeOf(dispatch.origin),
        })),
        valueBytes: graph.values.map(({ shape, dtype }) =>
          tensorBytes(numElements(shape, plan.maxima), dtype),
        ),
      }
    }),
    shaders: [...shaders.keys()],
    buffers: buffersOf(plans),
  }
}

function buffersOf(plans: readonly [Plan, ...Plan[]]): BufferInspection[] {
  return [
    ...[...weightsOf(plans).values()].map(
      ({ label, bytes }) => ({ owner: 'weights', label, bytes }) as const,
    ),
    ...plans[0].buffers
      .filter(({ role }) => role === 'state')
      .map(({ label, bytes }) => ({ owner: 'states', label, bytes }) as const),
    ...arenaSizes(plans).map((bytes, slot) => ({ owner: 'arena', label: `arena${slot}`, bytes }) as const),
    ...plans.map(({ step, maxima }) => {
      const label = `step of up to ${maxima.T} token${maxima.T === 1 ? '' : 's'}`
      return { owner: 'step', label, bytes: step.words * 4 } as const
    }),
  ]
}
