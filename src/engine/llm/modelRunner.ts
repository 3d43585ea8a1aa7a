// A model on one device: how it is loaded, its weights, its plans, and the steps that run there. It ends with its device.
// Not here: which steps, and what becomes of their tokens (servingLoop.ts).

import { invariant } from '../../core/errors.ts'
import type { Device, DeviceBuffer, PreparedPlan, ReadBatch, StepOutput } from '../../device/device.ts'
import type { DimEnv } from '../../graph/dim.ts'
import type { LlmSpec } from '../../models/spec.ts'
import { StepWriter } from '../../plan/stepLayout.ts'
import type { Plan } from '../../plan/types.ts'
import { blockSize, blocksFor, preparePlans, type LoadedPlans } from '../load.ts'
import type { TimedStep } from '../kernelTimes.ts'
import { loadTogether, type LoadTogetherOptions } from '../loadTogether.ts'
import type { WeightSource } from '../loadWeights.ts'
import { fitPlans, type FittedPlans, type MemoryBudget } from '../fit.ts'
import { withSum, type LlmSizes } from '../memoryPlan.ts'
import { runLogits, type LogitsOptions } from './logits.ts'
import type { ScheduledChunk } from './scheduler.ts'
import { buildStepInputs } from './stepInputs.ts'

export interface ModelRunnerOptions extends LlmSizes, LoadTogetherOptions {
  /** What the model may take; without it, what the device gives. */
  readonly budget?: MemoryBudget | undefined
}

/** A step of the engine, once its times have been read back. */
export interface TimedEngineStep extends TimedStep {
  readonly dims: DimEnv
  /** Whether it computed tokens of prompts. */
  readonly isPrefill: boolean
}

export type OnTimed = (step: TimedEngineStep) => void

export class ModelRunner<Options extends ModelRunnerOptions = ModelRunnerOptions> {
  readonly device: Device
  readonly spec: LlmSpec
  /** Options as they are in force, which were made smaller to keep the budget, and what the model takes. */
  readonly fitted: Omit<FittedPlans<Options>, 'plans'>
  readonly #weights: ReadonlyMap<string, DeviceBuffer>
  readonly #loaded: LoadedPlans
  readonly #writers: ReadonlyMap<PreparedPlan, StepWriter>
  #isDisposed = false

  private constructor(
    device: Device,
    spec: LlmSpec,
    { options, shrunk, memory }: FittedPlans<Options>,
    weights: ReadonlyMap<string, DeviceBuffer>,
    loaded: LoadedPlans,
  ) {
    this.device = device
    this.spec = spec
    this.fitted = { options, shrunk, memory }
    this.#weights = weights
    this.#loaded = loaded
    this.#writers = new Map(
      loaded.plans.map((prepared) => [prepared, new StepWriter(prepared.plan.step, prepared.plan.maxima)]),
    )
  }

  /**
   * Plans, streams the weights in and compiles meanwhile; on failure nothing stays allocated. Throws engine/memory, before a
   * weight is read, if the model does not fit the budget, or while loading, if it does not fit the device.
   */
  static async load<Options extends ModelRunnerOptions>(
    device: Device,
    spec: LlmSpec,
    source: WeightSource,
    options: Options,
  ): Promise<ModelRunner<Options>> {
    const fitted = fitPlans(source.name, spec, options, device.capabilities, options.budget)
    let weights: ReadonlyMap<string, DeviceBuffer> | undefined
    try {
      weights = await loadTogether(device, fitted.plans, source, options)
      const loaded = await preparePlans(device, fitted.plans, weights, options.signal)
      return new ModelRunner(device, spec, fitted, weights, loaded)
    } catch (error) {
      for (const buffer of weights?.values() ?? []) buffer.destroy()
      throw withSum(error, source.name, fitted)
    }
  }

  /** One for each step class, smallest first. */
  get plans(): readonly Plan[] {
    return this.#loaded.plans.map(({ plan }) => plan)
  }

  /** For `run`, as long as `tokensPerReadback` says. */
  batchReads(): ReadBatch {
    return this.device.batchReads(this.fitted.options.tokensPerReadback ?? 1)
  }

  /**
   * Submits one step; resolves with the `sampled` state if a chunk samples, once the batch is finished. With `onTimed`, times
   * its dispatches and reads by itself.
   */
  run(
    chunks: readonly ScheduledChunk[],
    batch: ReadBatch,
    onTimed?: OnTimed,
  ): Promise<Readonly<Record<string, StepOutput>>> {
    const maxBlocksPerSeq = blocksFor(this.fitted.options.maxSeqLen)
    const { dims, values } = buildStepInputs(chunks, { blockSize, maxBlocksPerSeq })
    const prepared = this.#loaded.plans.find(({ plan }) => fits(dims, plan.maxima))
    invariant(prepared !== undefined, 'a plan for every step')
    const isPrefill = chunks.some(hasPrompt)
    const step = { ...this.#writers.get(prepared)!.write(dims, values), isPrefill }
    const outputs = dims.R > 0 ? ['sampled'] : []
    if (onTimed === undefined || this.device.profile === undefined)
      return this.device.run(prepared, step, outputs, batch)
    return this.device.profile(prepared, step, outputs).then(({ outputs, nanoseconds }) => {
      onTimed({ plan: prepared.plan, dims, isPrefill, nanoseconds })
      return outputs
    })
  }

  /** Logits of every position of `tokens`, over a cache of their own. Throws engine/memory, engine/cancelled. */
  logits(tokens: readonly number[], options: LogitsOptions): Promise<(Float32Array | Float64Array)[]> {
    const { device, spec } = this
    return runLogits({ device, spec, ...this.fitted, weights: this.#weights }, tokens, options)
  }

  /** Frees the model; the device stays its owner's. Idempotent. */
  dispose(): void {
    if (this.#isDisposed) return
    this.#isDisposed = true
    this.#loaded.dispose()
    for (const buffer of this.#weights.values()) buffer.destroy()
  }
}

/** Whether a chunk is part of a prompt, or of what is computed again after a preemption. */
function hasPrompt({ sequence, start, numTokens }: ScheduledChunk): boolean {
  return numTokens > 1 || start < sequence.params.promptTokens.length
}

function fits(dims: DimEnv, maxima: DimEnv): boolean {
  return dims.T <= maxima.T && dims.S <= maxima.S && dims.R <= maxima.R
}
