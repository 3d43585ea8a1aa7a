// Everything that is known of a model without running it: planned as the engine would, on no device.

import { elementsOf } from '../../core/shape.ts'
import { engineOptions } from '../../api/model.ts'
import { checkWeights } from '../../engine/loadWeights.ts'
import { fitPlans } from '../../engine/fit.ts'
import { unusedTensors } from '../../engine/unusedTensors.ts'
import type { MemoryPlan } from '../../engine/memoryPlan.ts'
import type { FloatDType } from '../../graph/opDef.ts'
import type { Capabilities, Plan } from '../../plan/types.ts'
import type { CommandContext, LoadedModel } from '../deps.ts'

/** Everything that the three formats show. */
export interface Inspection {
  readonly model: LoadedModel
  readonly dtype: FloatDType
  readonly maxSeqLen: number
  /** Whose limits the plan keeps. */
  readonly limitsOf: string
  /** Elements of all tensors. */
  readonly numParameters: number
  /** Tensors that nothing reads. */
  readonly numUnused: number
  /** The plan for the largest step; it shares its graph with the smaller ones. */
  readonly plan: Plan
  /** Of all plans together. */
  readonly memory: MemoryPlan
}

/** What every WebGPU device offers at least. */
export const webgpuMinimum: Capabilities = {
  subgroups: false,
  nativeF16: false,
  maxInvocationsPerWorkgroup: 256,
  maxWorkgroupBytes: 16_384,
  maxWorkgroupsPerDimension: 65_535,
  adapterClass: 'gpu',
  maxBindingBytes: 134_217_728,
  maxBufferBytes: 268_435_456,
  bindingAlignment: 256,
}

export async function inspectModel(
  model: LoadedModel,
  { dtype, maxSeqLen }: { readonly dtype?: FloatDType; readonly maxSeqLen?: number },
  { probeAdapter }: CommandContext,
): Promise<Inspection> {
  // No driver, or one that fails, is no obstacle here.
  const probe = await probeAdapter().catch(() => undefined)
  const options = engineOptions(model.config, {
    ...(dtype === undefined ? {} : { dtype }),
    ...(maxSeqLen === undefined ? {} : { maxSeqLen }),
  })
  const capabilities = probe?.capabilities ?? webgpuMinimum
  const { plans, memory } = fitPlans(model.name, model.spec, options, capabilities)
  checkWeights(plans, model.checkpoint)
  return {
    model,
    dtype: options.dtype,
    maxSeqLen: options.maxSeqLen,
    limitsOf: probe?.info.description ?? 'the WebGPU minimum',
    numParameters: [...model.checkpoint.tensors.values()].reduce(
      (sum, { shape }) => sum + elementsOf(shape),
      0,
    ),
    numUnused: unusedTensors(model.spec, plans, model.checkpoint).length,
    plan: plans.at(-1)!,
    memory,
  }
}
