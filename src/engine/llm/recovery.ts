// After the loss of a device: a new one with the model loaded again, as often as is sensible.
// Not here: what becomes of the sequences that ran on the old one (servingLoop.ts).

import { RuntimeFault, throwIfCancelled } from '../../core/errors.ts'
import type { Device, LostInfo } from '../../device/device.ts'
import type { Checkpoint } from '../../weights/checkpoint.ts'
import { ModelRunner, type ModelRunnerOptions } from './modelRunner.ts'

export interface ReopenedModel {
  readonly device: Device
  readonly checkpoint: Checkpoint
  /** Ends reading; the device stays. */
  close(): Promise<void>
}

/** Makes a device and opens the model again; what it returns belongs to the caller. */
export type ReopenModel = (signal: AbortSignal) => Promise<ReopenedModel>

export interface RecoveryOptions {
  /** Without it, the device was made by somebody else and its loss is final. */
  readonly reopen?: ReopenModel | undefined
  /** Called once for each recovery, when the engine runs again. What it throws or rejects with is shown, and ends nothing. */
  readonly onRecovered?: ((recovered: Recovered) => unknown) | undefined
}

export interface Recovered {
  /** More than one where the new device was lost while the model was being loaded. */
  readonly losses: readonly LostInfo[]
  readonly durationMs: number
  /** Sequences that were running and start over from the tokens they had. */
  readonly numSequences: number
}

/** Losses within a minute that are made good; a driver that fails more often will go on failing. */
const maxLosses = 3
const windowMs = 60_000

/** How long the news of a loss may lag behind an error that it caused. */
const newsMs = 100

/** What is known of the loss behind an error of a device; undefined if the device lives. */
export async function lossOf({ lost }: Device, thrown: unknown): Promise<LostInfo | undefined> {
  // A device that is lost while a model loads may refuse memory first, which is told with the model's sum.
  const isSum = thrown instanceof RuntimeFault && thrown.code === 'engine/memory'
  const error = isSum ? (thrown.cause ?? thrown) : thrown
  if (error instanceof RuntimeFault && !error.code.startsWith('device/')) return undefined
  const isCertain = error instanceof RuntimeFault && error.code === 'device/lost'
  const guess = isCertain ? { reason: 'unknown', message: error.message } : undefined
  let timer: ReturnType<typeof setTimeout> | undefined
  const news = new Promise<typeof guess>((resolve) => (timer = setTimeout(() => resolve(guess), newsMs)))
  try {
    return await Promise.race([lost, news])
  } finally {
    clearTimeout(timer)
  }
}

export class Recovery<Options extends ModelRunnerOptions> {
  readonly #reopen: ReopenModel | undefined
  readonly #abort = new AbortController()
  /** When devices were lost, within the window. */
  #lostAt: number[] = []
  readonly #counted = new WeakSet<Device>()

  constructor({ reopen }: RecoveryOptions) {
    this.#reopen = reopen
  }

  /**
   * A runner in place of one whose device is lost; both of the old are freed. Throws device/lost where the device was
   * given, after too many losses, and, with the cause, when the model cannot be loaded again.
   */
  async replace(
    old: ModelRunner<Options>,
    loss: LostInfo,
  ): Promise<{ readonly runner: ModelRunner<Options>; readonly losses: readonly LostInfo[] }> {
    if (this.#reopen === undefined) throw givenFault(old.device, loss)
    old.dispose()
    let { device } = old
    const losses = [loss]
    for (;;) {
      device.dispose()
      throwIfCancelled(this.#abort.signal, 'recovery')
      this.#count(device, losses.at(-1)!)
      const opened = await this.#reopen(this.#abort.signal).catch((cause: unknown) => {
        throw reloadFault(device, cause)
      })
      const result = await this.#load(old, opened)
      if (result instanceof ModelRunner) return { runner: result, losses }
      losses.push(result)
      device = opened.device
    }
  }

  /** Ends a recovery under way, and any later one, as soon as it can be. */
  abort(): void {
    this.#abort.abort()
  }

  /** A runner, or the loss of the new device; on failure that is disposed. */
  async #load(
    { spec, fitted }: ModelRunner<Options>,
    opened: ReopenedModel,
  ): Promise<ModelRunner<Options> | LostInfo> {
    const { signal } = this.#abort
    const { device, checkpoint } = opened
    try {
      const options = {
        ...fitted.options,
        signal,
        budget: undefined,
        onProgress: undefined,
        onCompile: undefined,
      }
      const runner = await ModelRunner.load(device, spec, checkpoint, options)
      if (runner.fitted.options.numBlocks !== options.numBlocks) throw otherDeviceFault(device)
      throwIfCancelled(signal, 'recovery')
      return runner
    } catch (error) {
      const loss = await lossOf(device, error)
      device.dispose()
      if (loss === undefined) throw reloadFault(device, error)
      return loss
    } finally {
      await opened.close()
    }
  }

  /** A device is lost once, however often the engine finds out. */
  #count(device: Device, { message }: LostInfo): void {
    const now = performance.now()
    this.#lostAt = this.#lostAt.filter((at) => now - at < windowMs)
    if (!this.#counted.has(device)) this.#lostAt.push(now)
    this.#counted.add(device)
    if (this.#lostAt.length <= maxLosses) return
    throw new RuntimeFault('device/lost', {
      where: device.adapter.description,
      expected: `at most ${maxLosses} losses of the device within a minute`,
      got: `${this.#lostAt.length}, the last: ${message}`,
      fix: 'Try again later; update the driver if it goes on.',
    })
  }
}

function givenFault({ adapter }: Device, { message }: LostInfo): RuntimeFault {
  return new RuntimeFault('device/lost', {
    where: adapter.description,
    expected: 'a live device',
    got: message,
    fix: 'Make a new device and a new engine: one that was passed in cannot be made again here.',
  })
}

function reloadFault({ adapter }: Device, cause: unknown): RuntimeFault {
  return new RuntimeFault('device/lost', {
    where: adapter.description,
    expected: 'the model to load again after the loss of the device',
    got: cause instanceof Error ? cause.message : String(cause),
    fix: 'Mend the cause and send the request again, or create a new engine.',
    cause,
  })
}

function otherDeviceFault({ adapter }: Device): RuntimeFault {
  return new RuntimeFault('device/limit', {
    where: adapter.description,
    expected: 'room for the KV cache of the lost device',
    got: 'smaller bindings',
    fix: 'Create a new engine.',
  })
}
