// A model that serves: requests in, tokens and logits out, recovery from the loss of its device, and its end. Not here: the
// steps (servingLoop.ts), nor how a model comes onto a device (modelRunner.ts).

import { RuntimeFault, cancelled, throwIfCancelled } from '../../core/errors.ts'
import { shown } from '../../core/values.ts'
import { onAbort } from '../../core/onAbort.ts'
import { tell } from '../../core/tell.ts'
import { Turns } from '../../core/turns.ts'
import type { Device, LostInfo } from '../../device/device.ts'
import type { LlmConfig, LlmSpec } from '../../models/spec.ts'
import type { Plan } from '../../plan/types.ts'
import { checkContext } from '../load.ts'
import type { WeightSource } from '../loadWeights.ts'
import type { ShrunkOption } from '../fit.ts'
import type { CacheState } from './cacheState.ts'
import type { LogitsOptions } from './logits.ts'
import { ModelRunner, type ModelRunnerOptions, type OnTimed } from './modelRunner.ts'
import { Recovery, lossOf, type RecoveryOptions } from './recovery.ts'
import { Sequence, type SequenceParams } from './sequence.ts'
import { ServingLoop, type TokenEvent } from './servingLoop.ts'

export interface LlmEngineOptions extends ModelRunnerOptions, RecoveryOptions {}

type Runner = ModelRunner<LlmEngineOptions>

export class LlmEngine {
  readonly config: LlmConfig
  /** As they are in force. */
  readonly options: LlmEngineOptions
  /** Options that were made smaller to keep the budget. */
  readonly shrunk: readonly ShrunkOption[]
  readonly #recovery: Recovery<LlmEngineOptions>
  readonly #loop: ServingLoop
  /** Of logits: each call has a KV cache and an arena of its own, and there is room for one of them. */
  readonly #turns = new Turns()
  readonly #ending = new AbortController()
  #runner: Runner
  #recovering: Promise<void> | undefined
  #disposal: Promise<void> | undefined

  private constructor(runner: Runner) {
    const { options, shrunk } = runner.fitted
    this.config = runner.spec.config
    this.options = options
    this.shrunk = shrunk
    this.#recovery = new Recovery(options)
    this.#runner = runner
    this.#loop = new ServingLoop(
      { runner: () => this.#runner, recover: (failed, error) => this.#recover(failed, error) },
      options,
    )
  }

  /**
   * Plans, streams the weights in and compiles meanwhile; on failure nothing stays allocated. Throws engine/memory, before a
   * weight is read, if the model does not fit the budget.
   */
  static async load(
    device: Device,
    spec: LlmSpec,
    source: WeightSource,
    options: LlmEngineOptions,
  ): Promise<LlmEngine> {
    return new LlmEngine(await ModelRunner.load(device, spec, source, options))
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
    return this.#loop.cacheState()
  }

  /** Times every step that is submitted while `work` goes on, those of other requests too. */
  timeSteps(onTimed: OnTimed, work: () => Promise<void>): Promise<void> {
    return this.#loop.timeSteps(onTimed, work)
  }

  /**
   * Tokens of a new sequence as they are sampled. Leaving the loop, or the signal, ends the sequence within a step.
   * Throws engine/context if the prompt does not fit, engine/input for ids outside the vocabulary, engine/overflow where no
   * logit is a number.
   */
  async *generate(params: SequenceParams, signal?: AbortSignal): AsyncGenerator<TokenEvent, void, undefined> {
    this.#checkTokens('prompt', params.promptTokens)
    const room = this.options.maxSeqLen - params.promptTokens.length + 1
    const sequence = new Sequence({ ...params, maxNewTokens: Math.min(params.maxNewTokens, room) })
    if (sequence.params.maxNewTokens < 1) return
    throwIfCancelled(signal, 'request')
    const stream = this.#loop.submit(sequence)
    // Ends the sequence at once: its reader may not come back for a while.
    const unlisten = onAbort(signal, () => {
      this.#loop.end(sequence)
      stream.fail(cancelled('request', signal?.reason))
    })
    try {
      yield* stream
    } finally {
      unlisten()
      this.#loop.end(sequence)
    }
  }

  /**
   * Logits of every position of `tokens`, over a cache of their own; one call at a time. Throws engine/memory where they do
   * not fit the budget beside the model, engine/context, engine/input, engine/cancelled.
   */
  logits(tokens: readonly number[], options: LogitsOptions = {}): Promise<(Float32Array | Float64Array)[]> {
    this.#checkTokens('tokens', tokens)
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
    await Promise.allSettled([this.#loop.stop(), this.#recovering, this.#turns.over])
    this.#loop.failAll(disposedFault())
    this.#runner.dispose()
  }

  /** Throws engine/disposed once dispose() has been called. */
  checkLive(): void {
    if (this.#disposal !== undefined) throw disposedFault()
  }

  #checkTokens(where: 'prompt' | 'tokens', tokens: readonly number[]): void {
    this.checkLive()
    checkContext(tokens.length, this.options.maxSeqLen, this.config.maxSeqLen, where)
    const bad = tokens.findIndex((id) => !(Number.isInteger(id) && id >= 0 && id < this.config.vocabSize))
    if (bad === -1) return
    throw new RuntimeFault('engine/input', {
      where,
      expected: `token ids from 0 to ${this.config.vocabSize - 1}`,
      got: `${shown(tokens[bad])} at ${bad}`,
      fix: 'Use the tokenizer that belongs to the model.',
    })
  }

  /**
   * Resolves once the engine has another runner than `failed`, with every sequence to be computed again from the tokens
   * that were read back. Rejects with the error if the device is not lost, device/lost if it stays lost.
   */
  async #recover(failed: ModelRunner, error: unknown): Promise<undefined> {
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
    const numSequences = this.#loop.restart()
    const recovered = { losses, durationMs: performance.now() - begin, numSequences }
    // Not before the engine runs again: a listener may use it.
    queueMicrotask(() => void tell(this.options.onRecovered, recovered))
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
