// An inspection as one JSON document. Shapes are numbers, or text such as "T" where they vary from step to step; tensors are
// as their file has them.

import { printExpr } from '../../graph/weightExpr.ts'
import { graphDocument, planDocument, shapeDocument } from '../../plan/document.ts'
import type { Plan } from '../../plan/types.ts'
import { storedForm } from '../../weights/checkpoint.ts'
import type { Inspection } from './inspection.ts'

export function inspectDocument(inspection: Inspection): object {
  const { model, dtype, maxSeqLen, numParameters, plan, memory, limitsOf } = inspection
  return {
    model: model.name,
    dtype,
    maxSeqLen,
    config: model.config,
    parameters: numParameters,
    tensors: [...model.checkpoint.tensors.values()].map((tensor) => {
      const { name, shape, file } = tensor
      const { type, bytes } = storedForm(tensor)
      return { name, dtype: type, shape, bytes, file }
    }),
    graph: graphDocument(plan.graph),
    plan: { limitsOf, ...wholePlan(plan) },
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

/** With the layout of the step, and what each weight is made of. */
function wholePlan(plan: Plan): object {
  const { step, buffers, outputs } = plan
  return {
    ...planDocument(plan),
    step: { ...step, fields: step.fields.map((field) => ({ ...field, shape: shapeDocument(field.shape) })) },
    buffers: buffers.map((buffer) =>
      buffer.role === 'weight' ? { ...buffer, expr: printExpr(buffer.expr) } : buffer,
    ),
    outputs: Object.fromEntries(
      Object.entries(outputs).map(([name, place]) => [name, { ...place, shape: shapeDocument(place.shape) }]),
    ),
  }
}
