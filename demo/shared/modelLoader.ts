// The model of the page: one at a time, loaded, replaced, cancelled. Tells its state; answers wait for it.

import { labelOf, type LoadOptions, type ModelChoice, type PageEngine } from './engine.ts'
import { isCancelled, shownFault, type ShownFault } from './fault.ts'
import { LoadMeter, type LoadFigures } from './progress.ts'

export interface ModelState<E extends PageEngine = PageEngine> {
  readonly status: 'none' | 'loading' | 'ready' | 'failed'
  readonly choice: ModelChoice | undefined
  readonly label: string
  readonly progress?: LoadFigures | undefined
  readonly engine?: E | undefined
  readonly fault?: ShownFault | undefined
}

/** What the user can do about the model. */
export interface ModelActions {
  load(choice: ModelChoice): void
  /** The same again, or the first one. */
  reload(): void
  cancelLoad(): void
}

export interface ModelLoaderOptions<E extends PageEngine> {
  readonly open: (choice: ModelChoice, options: LoadOptions) => Promise<E>
  readonly onChange: (state: ModelState<E>) => void
  readonly onNotice: (message: string) => void
}

export class ModelLoader<E extends PageEngine> {
  readonly #options: ModelLoaderOptions<E>
  #state: ModelState<E> = { status: 'none', choice: undefined, label: 'No model' }
  #abort = new AbortController()
  /** Settles when the engine before is gone: two models may not fit at once. */
  #last: Promise<unknown> = Promise.resolve()
  readonly #waiting = new Set<() => void>()

  constructor(options: ModelLoaderOptions<E>) {
    this.#options = options
  }

  get state(): ModelState<E> {
    return this.#state
  }

  /** Replaces the model, or the load, that there is. */
  load(choice: ModelChoice): void {
    this.#end()
    const abort = new AbortController()
    this.#abort = abort
    this.#set({ status: 'loading', choice, label: labelOf(choice) })
    this.#last = this.#last.then(() => this.#run(choice, abort))
  }

  cancel(): void {
    if (this.#state.status !== 'loading') return
    this.#end()
    this.#set({ ...this.#state, status: 'none', progress: undefined })
  }

  /** The engine does not work any more. */
  fail(fault: ShownFault): void {
    this.#end()
    this.#set({ ...this.#state, status: 'failed', engine: undefined, fault })
  }

  /** The engine, once it is there. Rejects when loading it ended without one, or on abort. */
  async ready(signal: AbortSignal): Promise<E> {
    while (this.#state.status === 'loading') await this.#changed(signal)
    signal.throwIfAborted()
    const { engine, fault } = this.#state
    if (engine !== undefined) return engine
    throw new Error(fault === undefined ? 'No model is loaded. Choose one above.' : 'The model did not load.')
  }

  async #run(choice: ModelChoice, abort: AbortController): Promise<void> {
    const { signal } = abort
    const meter = new LoadMeter()
    const show = (state: Partial<ModelState<E>>): void => {
      if (!signal.aborted) this.#set({ ...this.#state, ...state })
    }
    if (signal.aborted) return
    try {
      const engine = await this.#options.open(choice, {
        signal,
        onProgress: (report) => show({ progress: meter.add(report, performance.now()) }),
        onNotice: this.#options.onNotice,
      })
      // Cancelled at the last moment.
      if (signal.aborted) return await engine.dispose()
      show({ status: 'ready', engine, progress: undefined })
    } catch (error) {
      if (!isCancelled(error)) show({ status: 'failed', fault: shownFault(error), progress: undefined })
    }
  }

  #end(): void {
    this.#abort.abort()
    const { engine } = this.#state
    if (engine === undefined) return
    this.#last = this.#last.then(() => engine.dispose()).catch(() => undefined)
  }

  #set(state: ModelState<E>): void {
    this.#state = state
    this.#options.onChange(state)
    for (const resolve of this.#waiting) resolve()
  }

  async #changed(signal: AbortSignal): Promise<void> {
    const { promise, resolve, reject } = withResolvers()
    const stop = (): void => reject(signal.reason)
    signal.throwIfAborted()
    signal.addEventListener('abort', stop)
    this.#waiting.add(resolve)
    await promise.finally(() => {
      this.#waiting.delete(resolve)
      signal.removeEventListener('abort', stop)
    })
  }
}

interface Resolvers {
  readonly promise: Promise<void>
  readonly resolve: () => void
  readonly reject: (reason: unknown) => void
}

function withResolvers(): Resolvers {
  let resolve: () => void = () => undefined
  let reject: (reason: unknown) => void = () => undefined
  const promise = new Promise<void>((onResolve, onReject) => {
    resolve = onResolve
    reject = onReject
  })
  return { promise, resolve, reject }
}
