// Plans that fit a budget: the engine's options as they are, or smaller where the memory that they take is above it.
// Not here: the sums (memoryPlan.ts), and the plans themselves (load.ts).

import { RuntimeFault, invariant } from '../core/errors.ts'
import type { LlmSpec } from '../models/spec.ts'
import type { Capabilities, Plan } from '../plan/types.ts'
import { blocksFor, fitBlocks, planLlm, stepClasses } from './load.ts'
import { budgetFault, planMemory, type LlmSizes, type MemoryPlan } from './memoryPlan.ts'

type ShrinkableOption = 'numBlocks' | 'maxSeqLen' | 'maxNumBatchedTokens'

export interface MemoryBudget {
  readonly bytes: number
  /** Whose budget it is, for errors and for who asks why an option was made smaller. Default: the caller's. */
  readonly limit?: 'maxMemory' | 'freeMemory'
  /** What the caller left open, so that it may be made smaller. */
  readonly open: readonly ShrinkableOption[]
}

export interface ShrunkOption {
  readonly option: ShrinkableOption
  readonly asked: number
  readonly used: number
  /** What it had to fit: a budget, or the largest binding of the device. */
  readonly limit: 'maxMemory' | 'freeMemory' | 'binding'
}

export interface FittedPlans<Sizes extends LlmSizes> {
  readonly options: Sizes
  /** One for each step class. */
  readonly plans: readonly Plan[]
  readonly memory: MemoryPlan
  /** In the order of ShrinkableOption; empty if all is as asked. */
  readonly shrunk: readonly ShrunkOption[]
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
  spec: LlmSpec,
  options: Sizes,
  capabilities: Capabilities,
  budget?: MemoryBudget,
): FittedPlans<Sizes> {
  const bindable = { ...options, numBlocks: fitBlocks(spec, options, capabilities) }
  const limitOf = (option: ShrinkableOption, used: number): ShrunkOption['limit'] =>
    budget === undefined || used === bindable[option] ? 'binding' : (budget.limit ?? 'maxMemory')
  const fitted = (sizes: Sizes, plans: readonly Plan[], memory: MemoryPlan): FittedPlans<Sizes> => ({
    options: sizes,
    plans,
    memory,
    shrunk: shrinkableOptions
      .map((option) => ({ option, asked: options[option], used: sizes[option] }))
      .filter(({ asked, used }) => used !== asked)
      .map((change) => ({ ...change, limit: limitOf(change.option, change.used) })),
  })
  if (budget === undefined) {
    const plans = plansOf(spec, bindable, capabilities)
    return fitted(bindable, plans, planMemory(plans, bindable))
  }
  let smallest: Measured | undefined
  for (const most of candidates(bindable, budget.open)) {
    const whole = measure(spec, most, capabilities, budget)
    if (whole.memory.totalBytes <= budget.bytes) return fitted(most, whole.plans, whole.memory)
    smallest = whole
    const oneSequence = blocksFor(most.maxSeqLen)
    if (!budget.open.includes('numBlocks') || most.numBlocks <= oneSequence) continue
    const least = { ...most, numBlocks: oneSequence }
    const bare = measure(spec, least, capabilities, budget)
    smallest = bare
    if (bare.memory.totalBytes > budget.bytes) continue
    // Only the KV cache depends on the number of blocks, and in proportion.
    const blockBytes = (whole.memory.stateBytes - bare.memory.stateBytes) / (most.numBlocks - least.numBlocks)
    const spare = Math.floor((budget.bytes - bare.memory.totalBytes) / blockBytes)
    const filled = { ...most, numBlocks: Math.min(most.numBlocks, least.numBlocks + spare) }
    const { plans, memory } = measure(spec, filled, capabilities, budget)
    return fitted(filled, plans, memory)
  }
  invariant(smallest !== undefined, 'the options themselves are a candidate')
  throw budgetFault(model, budget, smallest.memory, smallest.sizes)
}

const shrinkableOptions = ['numBlocks', 'maxSeqLen', 'maxNumBatchedTokens'] as const

/** Largest first, each with as many blocks as may be of use. */
function candidates<Sizes extends LlmSizes>(options: Sizes, open: readonly ShrinkableOption[]): Sizes[] {
  const list = [options]
  const add = (changes: Partial<LlmSizes>): void => {
    const next = { ...list.at(-1)!, ...changes }
    const useful = blocksFor(next.maxSeqLen) * next.maxNumSeqs
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
function measure(spec: LlmSpec, sizes: LlmSizes, capabilities: Capabilities, budget: MemoryBudget): Measured {
  try {
    const plans = plansOf(spec, sizes, capabilities)
    return { sizes, plans, memory: planMemory(plans, sizes) }
  } catch (fault) {
    if (!(fault instanceof RuntimeFault && fault.code === 'plan/limit')) throw fault
    const plans = plansOf(spec, sizes, { ...capabilities, ...noLimits })
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

function plansOf(spec: LlmSpec, sizes: LlmSizes, capabilities: Capabilities): readonly Plan[] {
  return planLlm(spec, { ...sizes, head: 'sample' }, stepClasses(sizes), capabilities)
}
