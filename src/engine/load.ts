// The two ends of a load: graph → passes → plan, and plans over weights that are there, with states and arena. The way
// between them is in llm/modelRunner.ts: fit.ts → loadTogether.ts, which runs loadWeights.ts and compiles → preparePlans.

import type { StateId } from '../core/brand.ts'
import { RuntimeFault, throwIfCancelled } from '../core/errors.ts'
import type { Device, DeviceBuffer, PreparedPlan } from '../device/device.ts'
import type { DimEnv } from '../graph/dim.ts'
import type { FloatDType } from '../graph/opDef.ts'
import { deterministicKernels } from '../kernels/deterministic.ts'
import { wgslKernels } from '../kernels/index.ts'
import type { LlmGraphOptions, LlmSpec } from '../models/spec.ts'
import { inferencePassesFor, runPasses } from '../passes/index.ts'
import { bindingLimit, makePlan } from '../plan/plan.ts'
import type { Capabilities, Plan } from '../plan/types.ts'

/** Tokens in a KV block. */
export const blockSize = 16

/** KV blocks that a sequence of `numTokens` fills. */
export function blocksFor(numTokens: number): number {
  return Math.ceil(numTokens / blockSize)
}

/** Batches of steps that may be submitted before the oldest has been read back. */
export const maxBatchesInFlight = 2

export interface LlmShape {
  readonly dtype: FloatDType
  readonly maxSeqLen: number
  readonly maxNumSeqs: number
  readonly numBlocks: number
  readonly head: LlmGraphOptions['head']
  /** Whether a token's logits are the same bits in whatever step it is computed. Default false. */
  readonly deterministic?: boolean | undefined
}

/** Sequences that matrix-vector kernels decode in one pass over the weights. */
const smallBatch = 8

/**
 * Step classes that an engine plans for, smallest first: one token, a few, one a sequence, and steps with prefill.
 */
export function stepClasses({
  maxNumSeqs,
  maxNumBatchedTokens,
}: {
  readonly maxNumSeqs: number
  readonly maxNumBatchedTokens: number
}): DimEnv[] {
  const few = Math.min(smallBatch, maxNumSeqs)
  const sizes = [...new Set([1, few, maxNumSeqs, maxNumBatchedTokens])].sort((a, b) => a - b)
  return sizes.map((T) => ({ T, S: Math.min(T, maxNumSeqs), R: Math.min(T, maxNumSeqs) }))
}

/** One plan for each bucket of `maxima`; all share weights, states and arena. */
export function planLlm(
  spec: LlmSpec,
  shape: LlmShape,
  buckets: readonly DimEnv[],
  capabilities: Capabilities,
): Plan[] {
  const passes = inferencePassesFor(bindingLimit(capabilities))
  const graph = runPasses(spec.graph({ ...shape, blockSize }), passes)
  const kernels = shape.deterministic === true ? deterministicKernels : wgslKernels
  return buckets.map((maxima) => makePlan(graph, { kernels, capabilities, maxima }))
}

/**
 * `numBlocks`, or fewer where the keys or values of a layer would not fit a binding. A whole sequence always keeps its
 * blocks: where even they do not fit, planning throws plan/limit.
 */
export function fitBlocks(
  spec: LlmSpec,
  {
    dtype,
    maxSeqLen,
    numBlocks,
  }: { readonly dtype: FloatDType; readonly maxSeqLen: number; readonly numBlocks: number },
  capabilities: Capabilities,
): number {
  const room = Math.floor(bindingLimit(capabilities) / spec.kvBlockBytes({ dtype, blockSize }))
  return Math.min(numBlocks, Math.max(room, blocksFor(maxSeqLen)))
}

/** Memory and prepared plans of a graph; `plans[i]` was made for `buckets[i]`. */
export interface LoadedPlans {
  readonly plans: readonly PreparedPlan[]
  dispose(): void
}

/** Bytes of each arena slot: the largest that any plan asks for. */
export function arenaSizes(plans: readonly Plan[]): number[] {
  const sizes: number[] = []
  for (const { buffers } of plans) {
    for (const buffer of buffers) {
      if (buffer.role === 'arena') sizes[buffer.slot] = Math.max(sizes[buffer.slot] ?? 0, buffer.bytes)
    }
  }
  return sizes
}

/**
 * Allocates states and arena and prepares plans of one graph over weights that are already there. On failure nothing
 * of its own stays allocated.
 */
export async function preparePlans(
  device: Device,
  plans: readonly Plan[],
  weights: ReadonlyMap<string, DeviceBuffer>,
  signal?: AbortSignal,
): Promise<LoadedPlans> {
  const owned: DeviceBuffer[] = []
  const prepared: PreparedPlan[] = []
  const dispose = (): void => {
    for (const plan of prepared) plan.dispose()
    for (const buffer of owned) buffer.destroy()
  }
  const alloc = async (bytes: number, owner: 'states' | 'arena', label: string): Promise<DeviceBuffer> => {
    throwIfCancelled(signal, label)
    const buffer = await device.alloc(bytes, owner, label)
    owned.push(buffer)
    return buffer
  }
  try {
    const states = new Map<StateId, DeviceBuffer>()
    for (const buffer of plans[0]?.buffers ?? []) {
      if (buffer.role !== 'state') continue
      states.set(buffer.state, await alloc(buffer.bytes, 'states', buffer.label))
    }
    const arena: DeviceBuffer[] = []
    for (const [slot, bytes] of arenaSizes(plans).entries())
      arena.push(await alloc(bytes, 'arena', `arena${slot}`))
    for (const plan of plans) {
      throwIfCancelled(signal, plan.graph.name)
      prepared.push(await device.prepare(plan, { weights, states, arena }))
    }
    return { plans: prepared, dispose }
  } catch (error) {
    dispose()
    throw error
  }
}

/** Throws engine/context unless a sequence of `numTokens` fits. `modelMax` is what `maxSeqLen` can be raised to. */
export function checkContext(numTokens: number, maxSeqLen: number, modelMax: number, where: string): void {
  if (numTokens >= 1 && numTokens <= maxSeqLen) return
  throw new RuntimeFault('engine/context', {
    where,
    expected: `1 to ${maxSeqLen} tokens`,
    got: String(numTokens),
    fix:
      numTokens < 1
        ? `Give ${where === 'prompt' ? 'a prompt' : 'some'}.`
        : `Shorten the ${where}${maxSeqLen < modelMax ? ' or raise maxSeqLen' : ': the model takes no more'}.`,
  })
}
