// The serving loop: schedule → run → read back → commit → emit, one batch of steps submitted ahead of the one being read.
// Not here: what a step is on a device (modelRunner.ts), and whose device that is (llmEngine.ts).

import { AsyncQueue } from '../../core/asyncQueue.ts'
import { RuntimeFault, invariant } from '../../core/errors.ts'
import type { ReadBatch, StepOutput } from '../../device/device.ts'
import { blockSize, maxBatchesInFlight } from '../load.ts'
import type { LlmSizes } from '../memoryPlan.ts'
import { BlockManager } from './blockManager.ts'
import { CacheView, type CacheState } from './cacheState.ts'
import type { ModelRunner, OnTimed } from './modelRunner.ts'
import { Scheduler, type ScheduledChunk } from './scheduler.ts'
import type { Sequence } from './sequence.ts'

export interface TokenEvent {
  readonly token: number
  /** Set on the last token of a sequence. */
  readonly finishReason: 'stop' | 'length' | undefined
}

/** Where steps run. */
export interface RunnerOwner {
  /** Another one after each recovery from a loss. */
  runner(): ModelRunner
  /**
   * Resolves once there is another runner than `failed` and the loop has restarted. Rejects with the error if the device is
   * not lost, device/lost if it stays lost.
   */
  recover(failed: ModelRunner, error: unknown): Promise<undefined>
}

/** A step on its way, and who gets a token of it. */
interface Submitted {
  readonly chunks: readonly { readonly sequence: Sequence; readonly row: number }[]
  readonly outputs: Promise<Readonly<Record<string, StepOutput>>>
}

/** Steps whose tokens come back together. */
interface Batch {
  readonly runner: ModelRunner
  readonly steps: readonly Submitted[]
}

export class ServingLoop {
  readonly #owner: RunnerOwner
  readonly #options: LlmSizes
  readonly #blocks: BlockManager
  readonly #scheduler: Scheduler
  readonly #cacheView = new CacheView()
  readonly #timers = new Set<OnTimed>()
  readonly #streams = new Map<Sequence, AsyncQueue<TokenEvent>>()
  #running: Promise<void> | undefined
  #isRunning = false
  #isStopped = false

  constructor(owner: RunnerOwner, options: LlmSizes) {
    this.#owner = owner
    this.#options = options
    this.#blocks = new BlockManager(options.numBlocks, blockSize)
    this.#scheduler = new Scheduler(this.#blocks, options)
  }

  /** Who holds which blocks now. */
  cacheState(): CacheState {
    return this.#cacheView.state(this.#blocks, this.#scheduler.sequences)
  }

  /** Times every step that is submitted while `work` goes on. */
  async timeSteps(onTimed: OnTimed, work: () => Promise<void>): Promise<void> {
    this.#timers.add(onTimed)
    try {
      await work()
    } finally {
      this.#timers.delete(onTimed)
    }
  }

  /** Tokens of a sequence as they are sampled. */
  submit(sequence: Sequence): AsyncQueue<TokenEvent> {
    const stream = new AsyncQueue<TokenEvent>()
    this.#streams.set(sequence, stream)
    this.#scheduler.add(sequence)
    if (!this.#isRunning) {
      this.#isRunning = true
      // Results of the loop before may still be on their way.
      const before = this.#running
      // Requests that come at the same time share the first step.
      this.#running = Promise.resolve()
        .then(() => this.#run())
        .then(() => before)
    }
    return stream
  }

  /** Takes back what a sequence holds; its stream is the caller's to end. Idempotent. */
  end(sequence: Sequence): void {
    if (this.#streams.delete(sequence)) this.#scheduler.finish(sequence)
  }

  /** Ends every sequence with an error. */
  failAll(error: unknown): void {
    for (const [sequence, stream] of this.#streams) {
      this.#scheduler.finish(sequence)
      stream.fail(error)
    }
    this.#streams.clear()
  }

  /** Starts over on another runner, from the tokens that were read back. Returns how many sequences were running. */
  restart(): number {
    return this.#scheduler.restart()
  }

  /** No step is submitted any more; resolves when those on their way have ended. */
  async stop(): Promise<void> {
    this.#isStopped = true
    await this.#running
  }

  async #run(): Promise<void> {
    const inFlight: Batch[] = []
    try {
      while (this.#scheduler.hasUnfinished && !this.#isStopped) {
        const batch = this.#runBatch()
        if (batch !== undefined) inFlight.push(batch)
        invariant(inFlight.length > 0, 'unfinished sequences can be scheduled')
        if (inFlight.length >= maxBatchesInFlight || batch === undefined)
          await this.#commit(inFlight.shift()!)
      }
    } catch (error) {
      this.failAll(error)
    }
    // Before any wait: a request that comes in from here on must start a loop of its own.
    this.#isRunning = false
    // Results that nobody waits for any more must not surface as unhandled rejections.
    await Promise.allSettled(inFlight.flatMap(({ steps }) => steps.map(({ outputs }) => outputs)))
  }

  /** Undefined when nothing can run until results have been read back. */
  #runBatch(): Batch | undefined {
    const runner = this.#owner.runner()
    const reads = runner.batchReads()
    const steps: Submitted[] = []
    try {
      while (steps.length < (this.#options.tokensPerReadback ?? 1)) {
        const chunks = this.#scheduler.schedule()
        if (chunks.length === 0) break
        steps.push(this.#runStep(runner, chunks, reads))
      }
    } finally {
      reads.finish()
    }
    return steps.length === 0 ? undefined : { runner, steps }
  }

  #runStep(runner: ModelRunner, chunks: readonly ScheduledChunk[], reads: ReadBatch): Submitted {
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
      const results = await outputs.catch((error: unknown) => this.#owner.recover(runner, error))
      // What a lost device still gave is computed again.
      if (results === undefined || runner !== this.#owner.runner()) return
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
        this.end(sequence)
        stream.fail(overflowFault(this.#options.dtype))
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
      this.end(sequence)
      stream.close()
    }
  }
}

function overflowFault(dtype: string): RuntimeFault {
  return new RuntimeFault('engine/overflow', {
    where: 'sampling',
    expected: 'a logit that is a number',
    got: 'none',
    fix: dtype === 'f16' ? "Use dtype 'f32', or check the weights." : 'Check the weights.',
  })
}
