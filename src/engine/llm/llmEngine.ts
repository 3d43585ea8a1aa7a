// The serving loop: schedule → run → read back → commit → emit, one step submitted ahead of the one being read.

import { AsyncQueue } from '../../core/asyncQueue.ts'
import { RuntimeFault, cancelled, invariant } from '../../core/errors.ts'
import type { Device, DeviceBuffer, PreparedPlan, StepOutput } from '../../device/device.ts'
import { StepWriter } from '../../plan/step.ts'
import type { Checkpoint } from '../../weights/checkpoint.ts'
import type { LlamaConfig } from '../../models/llama/config.ts'
import type { DimEnv } from '../../graph/dim.ts'
import { blockSize, checkContext, maxStepsInFlight, preparePlans, type LoadedPlans } from '../load.ts'
import { loadWeights, type LoadWeightsOptions } from '../loadWeights.ts'
import { fitPlans, type LlmSizes, type MemoryBudget, type ShrunkOption } from '../memory.ts'
import { BlockManager } from './blockManager.ts'
import { runLogits, type LogitsOptions } from './logits.ts'
import { Scheduler, type ScheduledChunk } from './scheduler.ts'
import { Sequence, type SequenceParams } from './sequence.ts'
import { buildStepInputs } from './step.ts'

export interface LlmEngineOptions extends LlmSizes, LoadWeightsOptions {
  /** What the model may take; without it, what the device gives. */
  readonly budget?: MemoryBudget | undefined
  /** Called once the weights are there and compiling begins. */
  readonly onCompile?: (() => void) | undefined
}

export interface TokenEvent {
  readonly token: number
  /** Set on the last token of a sequence. */
  readonly finishReason: 'stop' | 'length' | undefined
}

interface Submitted {
  readonly chunks: readonly { readonly sequence: Sequence; readonly row: number }[]
  readonly outputs: Promise<Readonly<Record<string, StepOutput>>>
}

export class LlmEngine {
  readonly device: Device
  readonly config: LlamaConfig
  /** As they are in force. */
  readonly options: LlmEngineOptions
  /** Options that were made smaller to keep the budget. */
  readonly shrunk: readonly ShrunkOption[]
  readonly #weights: ReadonlyMap<string, DeviceBuffer>
  readonly #loaded: LoadedPlans
  readonly #writers: ReadonlyMap<PreparedPlan, StepWriter>
  readonly #scheduler: Scheduler
  readonly #streams = new Map<Sequence, AsyncQueue<TokenEvent>>()
  #loop: Promise<void> | undefined
  #isLooping = false
  #disposal: Promise<void> | undefined

  private constructor(
    device: Device,
    config: LlamaConfig,
    { options, shrunk }: { readonly options: LlmEngineOptions; readonly shrunk: readonly ShrunkOption[] },
    weights: ReadonlyMap<string, DeviceBuffer>,
    loaded: LoadedPlans,
  ) {
    this.device = device
    this.config = config
    this.options = options
    this.shrunk = shrunk
    this.#weights = weights
    this.#loaded = loaded
    this.#writers = new Map(
      loaded.plans.map((prepared) => [prepared, new StepWriter(prepared.plan.step, prepared.plan.maxima)]),
    )
    this.#scheduler = new Scheduler(new BlockManager(options.numBlocks, blockSize), options)
  }

  /**
   * Plans, streams the weights in and compiles; on failure nothing stays allocated. Throws engine/memory, before a
   * weight is read, if the model does not fit the budget.
   */
  static async load(
    device: Device,
    config: LlamaConfig,
    checkpoint: Checkpoint,
    options: LlmEngineOptions,
  ): Promise<LlmEngine> {
    const fitted = fitPlans(checkpoint.name, config, options, device.capabilities, options.budget)
    const { plans } = fitted
    const weights = await loadWeights(device, plans, checkpoint, options)
    options.onCompile?.()
    try {
      return new LlmEngine(device, config, fitted, weights, await preparePlans(device, plans, weights))
    } catch (error) {
      for (const buffer of weights.values()) buffer.destroy()
      throw error
    }
  }

  /**
   * Tokens of a new sequence as they are sampled. Leaving the loop, or the signal, ends the sequence within a step.
   * Throws engine/context if the prompt does not fit, engine/input for ids outside the vocabulary.
   */
  async *generate(params: SequenceParams, signal?: AbortSignal): AsyncGenerator<TokenEvent, void, undefined> {
    this.#checkPrompt(params.promptTokens)
    const room = this.options.maxSeqLen - params.promptTokens.length + 1
    const sequence = new Sequence({ ...params, maxNewTokens: Math.min(params.maxNewTokens, room) })
    if (sequence.params.maxNewTokens < 1) return
    const stream = new AsyncQueue<TokenEvent>()
    const end = (): void => {
      if (this.#streams.delete(sequence)) this.#scheduler.finish(sequence)
    }
    // Ends the sequence at once: its reader may not come back for a while.
    const onAbort = (): void => {
      end()
      stream.fail(cancelled('request', signal?.reason))
    }
    signal?.addEventListener('abort', onAbort, { once: true })
    if (signal?.aborted === true) onAbort()
    else this.#submit(sequence, stream)
    try {
      yield* stream
    } finally {
      signal?.removeEventListener('abort', onAbort)
      end()
    }
  }

  /** Logits of every position of `tokens`, over a cache of their own. */
  logits(tokens: readonly number[], options: LogitsOptions = {}): Promise<(Float32Array | Float64Array)[]> {
    this.#checkPrompt(tokens)
    return runLogits(this.device, this.config, this.options, this.#weights, tokens, options)
  }

  /** Ends running requests with engine/disposed and frees the model. The device stays its owner's. */
  dispose(): Promise<void> {
    return (this.#disposal ??= this.#free())
  }

  async #free(): Promise<void> {
    await this.#loop
    this.#failAll(disposedFault())
    this.#loaded.dispose()
    for (const buffer of this.#weights.values()) buffer.destroy()
  }

  #checkPrompt(tokens: readonly number[]): void {
    if (this.#disposal !== undefined) throw disposedFault()
    checkContext(tokens.length, this.options.maxSeqLen, 'prompt')
    const bad = tokens.find((id) => !(Number.isInteger(id) && id >= 0 && id < this.config.vocabSize))
    if (bad === undefined) return
    throw new RuntimeFault('engine/input', {
      where: 'prompt',
      expected: `token ids from 0 to ${this.config.vocabSize - 1}`,
      got: String(bad),
      fix: 'Use the tokenizer that belongs to the model.',
    })
  }

  #submit(sequence: Sequence, stream: AsyncQueue<TokenEvent>): void {
    this.#streams.set(sequence, stream)
    this.#scheduler.add(sequence)
    if (this.#isLooping) return
    this.#isLooping = true
    this.#loop = this.#run()
  }

  async #run(): Promise<void> {
    const inFlight: Submitted[] = []
    try {
      while (this.#scheduler.hasUnfinished && this.#disposal === undefined) {
        const chunks = this.#scheduler.schedule()
        if (chunks.length > 0) inFlight.push(this.#runStep(chunks))
        invariant(inFlight.length > 0, 'unfinished sequences can be scheduled')
        if (inFlight.length >= maxStepsInFlight || chunks.length === 0) await this.#commit(inFlight.shift()!)
      }
    } catch (error) {
      this.#failAll(error)
    }
    // Before any wait: a request that comes in from here on must start a loop of its own.
    this.#isLooping = false
    // Results that nobody waits for any more must not surface as unhandled rejections.
    await Promise.allSettled(inFlight.map(({ outputs }) => outputs))
  }

  #runStep(chunks: readonly ScheduledChunk[]): Submitted {
    const maxBlocksPerSeq = Math.ceil(this.options.maxSeqLen / blockSize)
    const { dims, values } = buildStepInputs(chunks, { blockSize, maxBlocksPerSeq })
    const prepared = this.#loaded.plans.find(({ plan }) => fits(dims, plan.maxima))
    invariant(prepared !== undefined, 'a plan for every step')
    const step = this.#writers.get(prepared)!.write(dims, values)
    const sampling = chunks
      .filter(({ samples }) => samples)
      .map(({ sequence }) => ({ sequence, row: sequence.row! }))
    for (const { sequence } of sampling) sequence.numPending++
    const outputs = this.device.run(prepared, step, sampling.length > 0 ? ['sampled'] : [])
    // A failure is thrown where the step is committed; until then it must not count as unhandled.
    outputs.catch(() => undefined)
    return { chunks: sampling, outputs }
  }

  async #commit({ chunks, outputs }: Submitted): Promise<void> {
    const { sampled } = await outputs
    for (const { sequence, row } of chunks) {
      sequence.numPending--
      // Finished sequences may have been a step ahead; what that step sampled is dropped.
      const stream = this.#streams.get(sequence)
      if (sequence.status === 'finished' || stream === undefined) continue
      invariant(sampled !== undefined, 'a sampling step reads its tokens')
      const token = sampled.data[row]!
      sequence.tokens.push(token)
      const finishReason = sequence.params.stopTokenIds.has(token)
        ? 'stop'
        : sequence.tokens.length - sequence.params.promptTokens.length >= sequence.params.maxNewTokens
          ? 'length'
          : undefined
      stream.push({ token, finishReason })
      if (finishReason === undefined) continue
      this.#scheduler.finish(sequence)
      this.#streams.delete(sequence)
      stream.close()
    }
  }

  #failAll(error: unknown): void {
    for (const [sequence, stream] of this.#streams) {
      this.#scheduler.finish(sequence)
      stream.fail(error)
    }
    this.#streams.clear()
  }
}

function fits(dims: DimEnv, maxima: DimEnv): boolean {
  return dims.T <= maxima.T && dims.S <= maxima.S && dims.R <= maxima.R
}

function disposedFault(): RuntimeFault {
  return new RuntimeFault('engine/disposed', {
    where: 'engine',
    expected: 'a live engine',
    got: 'a disposed one',
    fix: 'Create a new engine.',
  })
}
