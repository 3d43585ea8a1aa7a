// What a model will take, owner by owner, before a weight is read, and what is said where that is too much.
// Not here: smaller options (fit.ts), and allocation (load.ts, loadWeights.ts), whose sums these are.

import { RuntimeFault } from '../core/errors.ts'
import { formatBytesUp } from '../core/units.ts'
import { readbackSize } from '../device/device.ts'
import { numElements } from '../graph/dim.ts'
import { tensorBytes, type Plan } from '../plan/types.ts'
import { arenaSizes, blockSize, maxBatchesInFlight, type LlmShape } from './load.ts'
import { weightsOf } from './loadWeights.ts'

export interface MemoryPlan {
  readonly weightBytes: number
  /** KV cache, and the sampler's rows. */
  readonly stateBytes: number
  readonly arenaBytes: number
  readonly stepBytes: number
  readonly readbackBytes: number
  readonly totalBytes: number
}

/** What plans that share everything will take on a device, with the tokens of so many steps read back together. */
export function planMemory(plans: readonly Plan[], { tokensPerReadback = 1 }: LlmSizes): MemoryPlan {
  const largest = Math.max(0, ...plans.map((plan) => readOf(plan, 'sampled', tokensPerReadback)))
  return sumsOf(plans, maxBatchesInFlight * largest)
}

function sumsOf(plans: readonly Plan[], readbackBytes: number): MemoryPlan {
  const weightBytes = sum([...weightsOf(plans).values()].map(({ bytes }) => bytes))
  const stateBytes = sum(
    (plans[0]?.buffers ?? []).filter(({ role }) => role === 'state').map(({ bytes }) => bytes),
  )
  const arenaBytes = sum(arenaSizes(plans))
  const stepBytes = sum(plans.map(({ step }) => step.words * 4))
  return {
    weightBytes,
    stateBytes,
    arenaBytes,
    stepBytes,
    readbackBytes,
    totalBytes: weightBytes + stateBytes + arenaBytes + stepBytes + readbackBytes,
  }
}

/** Bytes of the buffer through which an output of so many steps comes back. */
function readOf({ outputs, maxima }: Plan, output: 'sampled' | 'logits', numSteps: number): number {
  const location = outputs[output]
  if (location === undefined) return 0
  const elements = numElements(location.shape, maxima)
  return readbackSize(numSteps * tensorBytes(elements, location.dtype))
}

/** The options that decide what an engine takes. */
export interface LlmSizes extends Omit<LlmShape, 'head'> {
  readonly maxNumBatchedTokens: number
  /** Steps whose tokens are read back together. Default 1. */
  readonly tokensPerReadback?: number | undefined
}

const softwareShare = 0.8

/** A budget on software adapters, which compute in the host's memory: some of what is free is left to others. */
export function softwareBudget(availableBytes: number): number {
  return Math.floor(availableBytes * softwareShare)
}

/** Throws engine/memory where logits, computed by `plan` beside a loaded model, would exceed a budget in bytes. */
export function checkLogits(plan: Plan, numTokens: number, model: MemoryPlan, budget: number): void {
  const own = sumsOf([plan], readOf(plan, 'logits', 1))
  const totalBytes = model.totalBytes + own.totalBytes - own.weightBytes
  if (totalBytes <= budget) return
  const parts = [
    `${formatBytesUp(model.totalBytes)} of the loaded model`,
    `${formatBytesUp(own.stateBytes)} of KV cache`,
    `${formatBytesUp(own.arenaBytes)} of arena for ${plan.maxima.T} tokens a step`,
    `${formatBytesUp(own.stepBytes + own.readbackBytes)} of step buffers`,
  ]
  throw new RuntimeFault('engine/memory', {
    where: `logits of ${numTokens} tokens`,
    expected: `at most ${formatBytesUp(budget)}`,
    got: `${parts.join(' + ')} = ${formatBytesUp(totalBytes)}`,
    fix: 'Raise maxMemory, load with a smaller maxSeqLen, or ask for the logits of fewer tokens.',
  })
}

/** The sum that is above a budget. */
export function budgetFault(
  model: string,
  { bytes, limit = 'maxMemory' }: { readonly bytes: number; readonly limit?: 'maxMemory' | 'freeMemory' },
  memory: MemoryPlan,
  sizes: LlmSizes,
): RuntimeFault {
  const isAsked = limit === 'maxMemory'
  return sumFault(model, memory, sizes, {
    expected: `at most ${formatBytesUp(bytes)}${isAsked ? '' : `, ${softwareShare * 100} % of the free memory`}`,
    remedy: `${isAsked ? 'Raise' : 'Free some of it or set'} maxMemory to that`,
  })
}

/** `engine/memory` with the sum, where the device has refused a buffer; any other error as it is. */
export function withSum(
  error: unknown,
  model: string,
  { memory, options }: { readonly memory: MemoryPlan; readonly options: LlmSizes },
): unknown {
  if (!(error instanceof RuntimeFault && error.code === 'device/memory')) return error
  return sumFault(model, memory, options, { expected: 'what the device has room for', cause: error })
}

function sumFault(
  model: string,
  memory: MemoryPlan,
  { dtype, numBlocks, maxSeqLen, maxNumSeqs, maxNumBatchedTokens }: LlmSizes,
  { expected, remedy, cause }: { expected: string; remedy?: string; cause?: RuntimeFault },
): RuntimeFault {
  const parts = [
    `${formatBytesUp(memory.weightBytes)} of weights in ${dtype}`,
    `${formatBytesUp(memory.stateBytes)} of KV cache for ${numBlocks * blockSize} tokens`,
    `${formatBytesUp(memory.arenaBytes)} of arena for ${maxNumBatchedTokens} tokens a step`,
    `${formatBytesUp(memory.stepBytes + memory.readbackBytes)} of step buffers`,
  ]
  const sizes = `maxSeqLen ${maxSeqLen}, maxNumSeqs ${maxNumSeqs}`
  return new RuntimeFault('engine/memory', {
    where: model,
    expected,
    got: `${parts.join(' + ')} = ${formatBytesUp(memory.totalBytes)} with ${sizes}${cause === undefined ? '' : `; refused: ${cause.where}`}`,
    fix: `${remedy === undefined ? 'Ask' : `${remedy}, ask`} for less of these, or ${dtype === 'f32' ? 'use f16' : 'take a smaller model'}.`,
    cause,
  })
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0)
}
