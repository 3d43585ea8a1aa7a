// What a model will take, owner by owner, before a weight is read; and smaller options where that is above a budget.
// Not here: allocation (load.ts, loadWeights.ts), whose sums these are.

import { RuntimeFault, invariant } from '../core/errors.ts'
import { readbackSize } from '../device/device.ts'
import { evalDim } from '../graph/dim.ts'
import type { LlamaConfig } from '../models/llama/config.ts'
import { tensorBytes, type Capabilities, type Plan } from '../plan/types.ts'
import {
  arenaSizes,
  blockSize,
  fitBlocks,
  maxBatchesInFlight,
  planLlama,
  stepClasses,
  type LlmShape,
} from './load.ts'
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

/** What plans that share everything will take on a device. */
function planMemory(plans: readonly Plan[], { tokensPerReadback = 1 }: LlmSizes): MemoryPlan {
  const weightBytes = sum([...weightsOf(plans).values()].map(({ bytes }) => bytes))
  const stateBytes = sum(
    (plans[0]?.buffers ?? []).filter(({ role }) => role === 'state').map(({ bytes }) => bytes),
  )
  const arenaBytes = sum(arenaSizes(plans))
  const stepBytes = sum(plans.map(({ step }) => step.words * 4))
  const readbackBytes =
    maxBatchesInFlight * Math.max(0, ...plans.map((plan) => readOfBatch(plan, tokensPerReadback)))
  return {
    weightBytes,
    stateBytes,
    arenaBytes,
    stepBytes,
    readbackBytes,
    totalBytes: weightBytes + stateBytes + arenaBytes + stepBytes + readbackBytes,
  }
}

/** Bytes of the buffer through which the tokens of so many steps come back. */
function readOfBatch({ outputs, maxima }: Plan, numSteps: number): number {
  const { sampled } = outputs
  if (sampled === undefined) return 0
  const numElements = sampled.shape.reduce<number>((product, dim) => product * evalDim(dim, maxima), 1)
  return readbackSize(numSteps * tensorBytes(numElements, sampled.dtype))
}

/** The options that decide what an engine takes. */
export interface LlmSizes extends Omit<LlmShape, 'head'> {
  readonly maxNumBatchedTokens: number
  /** Steps whose tokens are read back together. Default 1. */
  readonly tokensPerReadback?: number | undefined
}

export type ShrinkableOption = 'numBlocks' | 'maxSeqLen' | 'maxNumBatchedTokens'

export interface MemoryBudget {
  readonly bytes: number
  /** What the caller left open, so that it may be made smaller. */
  readonly open: readonly ShrinkableOption[]
}

export interface ShrunkOption {
  readonly option: ShrinkableOption
  readonly asked: number
  readonly used: number
}

export interface FittedPlans<Sizes extends LlmSizes> {
  readonly options: Sizes
  /** One for each step class. */
  readonly plans: readonly Plan[]
  readonly memory: MemoryPlan
  /** In the order of ShrinkableOption; empty if all is as asked. */
  readonly shrunk: readonly ShrunkOption[]
}

/** A budget on software adapters, which compute in the host's memory: some of what is free is left to others. */
export function softwareBudget(freeBytes: number): number {
  return Math.floor(freeBytes * 0.8)
}

/** Shrinking stops here. */
const minSeqLen = 512
const minBatchedTokens = 32

/**
 * The plans of an engine, with no more KV blocks than fit a binding. Above `budget`, open options are made smaller in
 * this order: KV blocks, down to those of one whole sequence; maxSeqLen, halved down to 512; maxNumBatchedTokens,
 * halved down to 32.
 * Throws engine/memory with the sum by owner if that is not enough, plan/limit if the device cannot bind a buffer.
 */
export function fitPlans<Sizes extends LlmSizes>(
  model: string,
  config: LlamaConfig,
  options: Sizes,
  capabilities: Capabilities,
  budget?: MemoryBudget,
): FittedPlans<Sizes> {
  const fitted = (sizes: Sizes, plans: readonly Plan[], memory: MemoryPlan): FittedPlans<Sizes> => ({
    options: sizes,
    plans,
    memory,
    shrunk: shrinkableOptions
      .filter((option) => sizes[option] !== options[option])
      .map((option) => ({ option, asked: options[option], used: sizes[option] })),
  })
  const bindable = { ...options, numBlocks: fitBlocks(config, options, capabilities) }
  if (budget === undefined) {
    const plans = plansOf(config, bindable, capabilities)
    return fitted(bindable, plans, planMemory(plans, bindable))
  }
  let smallest: Measured | undefined
  for (const most of candidates(bindable, budget.open)) {
    const whole = measure(config, most, capabilities, budget)
    if (whole.memory.totalBytes <= budget.bytes) return fitted(most, whole.plans, whole.memory)
    smallest = whole
    const oneSequence = blocksOf(most.maxSeqLen)
    if (!budget.open.includes('numBlocks') || most.numBlocks <= oneSequence) continue
    const least = { ...most, numBlocks: oneSequence }
    const bare = measure(config, least, capabilities, budget)
    smallest = bare
    if (bare.memory.totalBytes > budget.bytes) continue
    // Only the KV cache depends on the number of blocks, and in proportion.
    const blockBytes = (whole.memory.stateBytes - bare.memory.stateBytes) / (most.numBlocks - least.numBlocks)
    const spare = Math.floor((budget.bytes - bare.memory.totalBytes) / blockBytes)
    const filled = { ...most, numBlocks: Math.min(most.numBlocks, least.numBlocks + spare) }
    const { plans, memory } = measure(config, filled, capabilities, budget)
    return fitted(filled, plans, memory)
  }
  invariant(smallest !== undefined, 'the options themselves are a candidate')
  throw memoryFault(model, smallest.memory, smallest.sizes, budget)
}

const shrinkableOptions = ['numBlocks', 'maxSeqLen', 'maxNumBatchedTokens'] as const

function blocksOf(maxSeqLen: number): number {
  return Math.ceil(maxSeqLen / blockSize)
}

/** Largest first, each with as many blocks as may be of use. */
function candidates<Sizes extends LlmSizes>(options: Sizes, open: readonly ShrinkableOption[]): Sizes[] {
  const list = [options]
  const add = (changes: Partial<LlmSizes>): void => {
    const next = { ...list.at(-1)!, ...changes }
    const useful = blocksOf(next.maxSeqLen) * next.maxNumSeqs
    list.push({ ...next, numBlocks: Math.min(next.numBlocks, useful) })
  }
  if (open.includes('maxSeqLen')) {
    for (let tokens = options.maxSeqLen; tokens > minSeqLen;) {
      tokens = Math.max(minSeqLen, Math.ceil(tokens / 2))
      add({ maxSeqLen: tokens })
    }
  }
  if (open.includes('maxNumBatchedTokens')) {
    const least = Math.max(minBatchedTokens, options.maxNumSeqs)
    for (let tokens = options.maxNumBatchedTokens; tokens > least;) {
      tokens = Math.max(least, Math.ceil(tokens / 2))
      add({ maxNumBatchedTokens: tokens })
    }
  }
  return list
}

interface Measured {
  readonly sizes: LlmSizes
  readonly plans: readonly Plan[]
  readonly memory: MemoryPlan
}

/** Plans and their sum. Throws plan/limit only where it is not the budget that forbids them as well. */
function measure(
  config: LlamaConfig,
  sizes: LlmSizes,
  capabilities: Capabilities,
  budget: MemoryBudget,
): Measured {
  try {
    const plans = plansOf(config, sizes, capabilities)
    return { sizes, plans, memory: planMemory(plans, sizes) }
  } catch (fault) {
    if (!(fault instanceof RuntimeFault && fault.code === 'plan/limit')) throw fault
    const plans = plansOf(config, sizes, { ...capabilities, ...noLimits })
    const memory = planMemory(plans, sizes)
    if (memory.totalBytes <= budget.bytes) throw fault
    return { sizes, plans, memory }
  }
}

const noLimits = {
  maxBindingBytes: Number.MAX_SAFE_INTEGER,
  maxBufferBytes: Number.MAX_SAFE_INTEGER,
  maxWorkgroupsPerDimension: Number.MAX_SAFE_INTEGER,
}

function plansOf(config: LlamaConfig, sizes: LlmSizes, capabilities: Capabilities): readonly Plan[] {
  return planLlama(config, { ...sizes, head: 'sample' }, stepClasses(sizes), capabilities)
}

function memoryFault(
  model: string,
  memory: MemoryPlan,
  sizes: LlmSizes,
  { bytes }: MemoryBudget,
): RuntimeFault {
  return sumFault(model, `at most ${inUnits(bytes)}`, memory, sizes)
}

/** `engine/memory` with the sum, where the device has refused a buffer; any other error as it is. */
export function withSum(error: unknown, model: string, { memory, options }: FittedPlans<LlmSizes>): unknown {
  if (!(error instanceof RuntimeFault && error.code === 'device/memory')) return error
  return sumFault(model, 'what the device has room for', memory, options, error)
}

function sumFault(
  model: string,
  expected: string,
  memory: MemoryPlan,
  { dtype, numBlocks, maxSeqLen, maxNumSeqs, maxNumBatchedTokens }: LlmSizes,
  cause?: RuntimeFault,
): RuntimeFault {
  const parts = [
    `${inUnits(memory.weightBytes)} of weights in ${dtype}`,
    `${inUnits(memory.stateBytes)} of KV cache for ${numBlocks * blockSize} tokens`,
    `${inUnits(memory.arenaBytes)} of arena for ${maxNumBatchedTokens} tokens a step`,
    `${inUnits(memory.stepBytes + memory.readbackBytes)} of step buffers`,
  ]
  const sizes = `maxSeqLen ${maxSeqLen}, maxNumSeqs ${maxNumSeqs}`
  return new RuntimeFault('engine/memory', {
    where: model,
    expected,
    got: `${parts.join(' + ')} = ${inUnits(memory.totalBytes)} with ${sizes}${cause === undefined ? '' : `; refused: ${cause.where}`}`,
    fix: `${cause === undefined ? 'Allow that much, ask' : 'Ask'} for less of these, or ${dtype === 'f32' ? 'use f16' : 'take a smaller model'}.`,
    cause,
  })
}

/** Bytes for people; the last digit is rounded up, so that allowing what is shown suffices. */
function inUnits(bytes: number): string {
  const [unit, name] = bytes < 2 ** 30 ? [2 ** 20, 'MiB'] : [2 ** 30, 'GiB']
  return `${(Math.ceil((bytes / unit) * 100) / 100).toFixed(2)} ${name}`
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0)
}
