// The serving loop: schedule → run → read back → commit → emit, one batch of steps submitted ahead of the one being read.

import { AsyncQueue } from '../../core/asyncQueue.ts'
import { RuntimeFault, cancelled, invariant } from '../../core/errors.ts'
import { shown } from '../../core/files.ts'
import { tell } from '../../core/tell.ts'
import { Turns } from '../../core/turns.ts'
import type { Device, LostInfo, ReadBatch, StepOutput } from '../../device/device.ts'
import type { LlamaConfig } from '../../models/llama/config.ts'
import type { Plan } from '../../plan/types.ts'
import { blockSize, checkContext, maxBatchesInFlight } from '../load.ts'
import type { WeightSource } from '../loadWeights.ts'
import type { ShrunkOption } from '../fit.ts'
import { BlockManager } from './blockManager.ts'
import { CacheView, type CacheState } from './cacheState.ts'
import type { LogitsOptions } from './logits.ts'
import { ModelRunner, type ModelRunnerOptions, type OnTimed } from './modelRunner.ts'
import { Recovery, lossOf, type RecoveryOptions } from './recovery.ts'
import { Scheduler, type ScheduledChunk } from './scheduler.ts'
import { Sequence, type SequenceParams } from './sequence.ts'

export interface LlmEngineOptions extends ModelRunnerOptions, RecoveryOptions {}

export interface TokenEvent {
  readonly token: number
  /** Set on the last token of a sequence. */
  readonly finishReason: 'stop' | 'length' | undefined
}

type Runner = ModelRunner<LlmEngineOptions>

/** A step on its way, and who gets a token of it. */
interface Submitted {
  readonly chunks: readonly { readonly sequence: Sequence; readonly row: number }[]
  readonly outputs: Promise<Readonly<Record<string, StepOutput>>>
}

/** Steps whose tokens come back together. */
interface Batch {
  readonly runner: Runner
  readonly steps: readonly Submitted[]
}

export class LlmEngine {
  readonly config: LlamaConfig
  /** As they are in force. */
  readonly options: LlmEngineOptions
  /** Options that were made smaller to keep the budget. */
  readonly shrunk: readonly ShrunkOption[]
  readonly #recovery: Recovery<LlmEngineOptions>
  readonly #blocks: BlockManager
  readonly #scheduler: Scheduler
  readonly #cacheView = new CacheView()
  readonly #timers = new Set<OnTimed>()
  readonly #streams = new Map<Sequence, AsyncQueue<TokenEvent>>()
  /** Of logits: each call has a KV cache and an arena of its own, and there is room for one of them. */
  readonly #turns = new Turns()
  readonly #ending = new AbortController()
  #runner: Runner
  #recovering: Promise<void> | undefined
  #loop: Promise<void> | undefined
  #isLooping = false
  #disposal: Promise<void> | undefined

  private constructor(runner: Runner) {
    const { options, shrunk } = runner.fitted
    this.config = runner.config
    this.options = options
    this.shrunk = shrunk
    this.#recovery = new Recovery(options)
    this.#blocks = new BlockManager(options.numBlocks, blockSize)
    this.#scheduler = new Scheduler(this.#blocks, options)
    this.#runner = runner
  }

  /**
   * Plans, streams the weights in and compiles meanwhile; on failure nothing stays allocated. Throws engine/memory, before a
   * weight is read, if the model does not fit the budget.
   */
  static async load(
    device: Device,
    config: LlamaConfig,
    source: WeightSource,
    options: LlmEngineOptions,
  ): Promise<LlmEngine> {
    return new LlmEngine(await ModelRunner.load(device, config, source, options))
  }

  /** Another one after each recovery from a loss. */
  get device(): Device {
    return this.#runner.device
  }

  /** One for each step class, smallest first. Throws engine/disposed after dispose(). */
  get plans(): readonly Plan[] {
    if (this.#disposal !== undefined) throw disposedFault()
    return this.#runner.plans
  }

  /** Who holds which blocks now. */
  cacheState(): CacheState {
    return this.#cacheView.state(this.#blocks, this.#scheduler.sequences)
  }

  /** Times every step that is submitted while `work` goes on, those of other requests too. */
  async timeSteps(onTimed: OnTimed, work: () => Promise<void>): Promise<void> {
    this.#timers.add(onTimed)
    try {
      await work()
    } finally {
      this.#timers.delete(onTimed)
    }
  }

  /**
   * Tokens of a new sequence as they are sampled. Leaving the loop, or the signal, ends the sequence within a step.
   * Throws engine/context if the prompt does not fit, engine/input for ids outside the vocabulary, engine/overflow where no
   * logit is a number.
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

  /**
   * Logits of every position of `tokens`, over a cache of their own; one call at a time. Throws engine/memory where they do
   * not fit the budget beside the model, engine/context, engine/input, engine/cancelled.
   */
  logits(tokens: readonly number[], options: LogitsOptions = {}): Promise<(Float32Array | Float64Array)[]> {
    this.#checkPrompt(tokens)
    const signal = AbortSignal.any([
      this.#ending.signal,
      ...(options.signal === undefined ? [] : [options.signal]),
    ])
    const budget = this.options.budget?.bytes
    const work = (): ReturnType<LlmEngine['logits']> => this.#logits(tokens, { budget, ...options, signal })
    return this.#turns.take(work, 'logits', signal).catch((error: unknown) => {
      throw signal.aborted && signal.reason === this.#ending.signal.reason ? disposedFault() : error
    })
  }

  async #logits(tokens: readonly number[], options: LogitsOptions): Promise<(Float32Array | Float64Array)[]> {
    for (;;) {
      const runner = this.#runner
      try {
        return await runner.logits(tokens, options)
      } catch (error) {
        await this.#recover(runner, error)
      }
    }
  }

  /**
   * Ends running requests with engine/disposed and frees the model. The device stays its owner's, also one that was
   * made in a recovery.
   */
  dispose(): Promise<void> {
    return (this.#disposal ??= this.#free())
  }

  async #free(): Promise<void> {
    this.#recovery.abort()
    this.#ending.abort()
    await Promise.allSettled([this.#loop, this.#recovering, this.#turns.over])
    this.#failAll(disposedFault())
    this.#runner.dispose()
  }

  /** Throws engine/disposed once dispose() has been called. */
  checkLive(): void {
    if (this.#disposal !== undefined) throw disposedFault()
  }

  #checkPrompt(tokens: readonly number[]): void {
    this.checkLive()
    checkContext(tokens.length, this.options.maxSeqLen, 'prompt')
    const bad = tokens.findIndex((id) => !(Number.isInteger(id) && id >= 0 && id < this.config.vocabSize))
    if (bad === -1) return
    throw new RuntimeFault('engine/input', {
      where: 'prompt',
      expected: `token ids from 0 to ${this.config.vocabSize - 1}`,
      got: `${shown(tokens[bad])} at ${bad}`,
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
    const inFlight: Batch[] = []
    try {
      while (this.#scheduler.hasUnfinished && this.#disposal === undefined) {
        const batch = this.#runBatch()
        if (batch !== undefined) inFlight.push(batch)
        invariant(inFlight.length > 0, 'unfinished sequences can be scheduled')
        if (inFlight.length >= maxBatchesInFlight || batch === undefined)
          await this.#commit(inFlight.shift()!)
      }
    } catch (error) {
      this.#failAll(error)
    }
    // Before any wait: a request that comes in from here on must start a loop of its own.
    this.#isLooping = false
    // Results that nobody waits for any more must not surface as unhandled rejections.
    await Promise.allSettled(inFlight.flatMap(({ steps }) => steps.map(({ outputs }) => outputs)))
  }

  /** Undefined when nothing can run until results have been read back. */
  #runBatch(): Batch | undefined {
    const runner = this.#runner
    const reads = runner.batchReads()
    const steps: Submitted[] = []
    try {
      while (steps.length < (this.options.tokensPerReadback ?? 1)) {
        const chunks = this.#scheduler.schedule()
        if (chunks.length === 0) break
        steps.push(this.#runStep(runner, chunks, reads))
      }
    } finally {
      reads.finish()
    }
    return steps.length === 0 ? undefined : { runner, steps }
  }

  #runStep(runner: Runner, chunks: readonly ScheduledChunk[], reads: ReadBatch): Submitted {
    const outputs = runner.run(chunks, reads, this.#timers.size === 0 ? undefined : this.#timed())
    // A failure is thrown where the step is committed; until then it must not count as unhandled.
    outputs.catch(() => undefined)
    const sampling = chunks
      .filter(({ samples }) => samples)
      .map(({ sequence }) => ({ sequence, row: sequence.row! }))
    for (const { sequence } of sampling) sequence.numPending++
    return { chunks: sampling, outputs }
  }

  /** Tells those who time steps now, also if they have stopped when the times come. */
  #timed(): OnTimed {
    const timers = [...this.#timers]
    return (step) => timers.forEach((timer) => timer(step))
  }

  async #commit({ runner, steps }: Batch): Promise<void> {
    for (const { chunks, outputs } of steps) {
      const results = await outputs.catch((error: unknown) => this.#recover(runner, error))
      // What a lost device still gave is computed again.
      if (results === undefined || runner !== this.#runner) return
      this.#commitStep(chunks, results['sampled'])
    }
  }

  #commitStep(chunks: Submitted['chunks'], sampled: StepOutput | undefined): void {
    for (const { sequence, row } of chunks) {
      sequence.numPending--
      // Finished sequences may have been a step ahead; what that step sampled is dropped.
      const stream = this.#streams.get(sequence)
      if (sequence.status === 'finished' || stream === undefined) continue
      invariant(sampled !== undefined, 'a sampling step reads its tokens')
      const token = sampled.data[row]!
      if (token < 0) {
        this.#end(sequence)
        stream.fail(overflowFault(this.options.dtype))
        continue
      }
      sequence.tokens.push(token)
      const finishReason = sequence.params.stopTokenIds.has(token)
        ? 'stop'
        : sequence.tokens.length - sequence.params.promptTokens.length >= sequence.params.maxNewTokens
          ? 'length'
          : undefined
      stream.push({ token, finishReason })
      if (finishReason === undefined) continue
      this.#end(sequence)
      stream.close()
    }
  }

  #end(sequence: Sequence): void {
    this.#scheduler.finish(sequence)
    this.#streams.delete(sequence)
  }

  /**
   * Resolves once the engine has another runner than `failed`, with every sequence to be computed again from the tokens
   * that were read back. Rejects with the error if the device is not lost, device/lost if it stays lost.
   */
  async #recover(failed: Runner, error: unknown): Promise<undefined> {
    const loss = await lossOf(failed.device, error)
    if (loss === undefined) throw error
    if (failed !== this.#runner) return
    this.#recovering ??= this.#replaceRunner(loss).finally(() => (this.#recovering = undefined))
    await this.#recovering
  }

  async #replaceRunner(loss: LostInfo): Promise<void> {
    const begin = performance.now()
    const { runner, losses } = await this.#recovery.replace(this.#runner, loss).catch((error: unknown) => {
      throw this.#disposal === undefined ? error : disposedFault()
    })
    // At once: no step may be scheduled for one runner and run on the other.
    this.#runner = runner
    const numSequences = this.#scheduler.restart()
    const recovered = { losses, durationMs: performance.now() - begin, numSequences }
    // Not before the engine runs again: a listener may use it.
    queueMicrotask(() => void tell(this.options.onRecovered, recovered))
  }

  #failAll(error: unknown): void {
    for (const [sequence, stream] of this.#streams) {
      this.#scheduler.finish(sequence)
      stream.fail(error)
    }
    this.#streams.clear()
  }
}

function disposedFault(): RuntimeFault {
  return new RuntimeFault('engine/disposed', {
    where: 'engine',
    expected: 'a live engine',
    got: 'a disposed one',
    fix: 'Create a new engine.',
  })
}

function overflowFault(dtype: string): RuntimeFault {
  return new RuntimeFault('engine/overflow', {
    where: 'sampling',
    expected: 'a logit that is a number',
    got: 'none',
    fix: dtype === 'f16' ? "Use dtype 'f32', or check the weights." : 'Check the weights.',
  })
}
