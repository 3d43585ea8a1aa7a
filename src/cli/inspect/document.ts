// An inspection as one JSON document. Shapes are numbers, or text such as "T" where they vary from step to step.

import { printDim, type Dim } from '../../graph/dim.ts'
import type { Graph } from '../../graph/graph.ts'
import { printExpr } from '../../graph/weightExpr.ts'
import type { Plan } from '../../plan/types.ts'
import type { Inspection } from './inspection.ts'

export function inspectDocument(inspection: Inspection): object {
  const { model, dtype, maxSeqLen, numParameters, plan, memory, limitsOf } = inspection
  return {
    model: model.name,
    dtype,
    maxSeqLen,
    config: model.config,
    parameters: numParameters,
    tensors: [...model.checkpoint.tensors.values()].map(({ name, dtype, shape, bytes, file }) => ({
      name,
      dtype,
      shape,
      bytes,
      file,
    })),
    graph: graphDocument(plan.graph),
    plan: { limitsOf, ...planDocument(plan) },
    memory: {
      weightBytes: memory.weightBytes,
      // With the few words of the sampled tokens.
      kvCacheBytes: memory.stateBytes,
      arenaBytes: memory.arenaBytes,
      stepBytes: memory.stepBytes,
      readbackBytes: memory.readbackBytes,
      totalBytes: memory.totalBytes,
    },
  }
}

function graphDocument({ name, values, states, ops, inputs, outputs }: Graph): object {
  return {
    name,
    states,
    values: values.map(({ id, name, dtype, shape, source, state }) => ({
      id,
      name,
      dtype,
      shape: shapeDocument(shape),
      source: source.kind,
      ...(source.kind === 'weight' ? { expr: printExpr(source.expr) } : {}),
      ...(state === undefined ? {} : { state }),
    })),
    ops,
    inputs,
    outputs,
  }
}

/** Without the shaders, whose text would be most of the document. */
function planDocument({ maxima, step, buffers, dispatches, outputs }: Plan): object {
  return {
    maxima,
    step: { ...step, fields: step.fields.map((field) => ({ ...field, shape: shapeDocument(field.shape) })) },
    buffers: buffers.map((buffer) =>
      buffer.role === 'weight' ? { ...buffer, expr: printExpr(buffer.expr) } : buffer,
    ),
    dispatches: dispatches.map(({ origin, op, variant, bindings, workgroupSize, grid }) => ({
      origin,
      op,
      variant,
      workgroupSize,
      grid: shapeDocument(grid),
      bindings,
    })),
    outputs: Object.fromEntries(
      Object.entries(outputs).map(([name, place]) => [name, { ...place, shape: shapeDocument(place.shape) }]),
    ),
  }
}

function shapeDocument(shape: readonly Dim[]): (number | string)[] {
  return shape.map((dim) => (typeof dim === 'number' ? dim : printDim(dim)))
}
