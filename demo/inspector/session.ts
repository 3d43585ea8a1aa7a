// Everything the page can do: the state that it shows, and the actions that change it.
// Not here: loading a model (../shared/modelLoader.ts), where things stand (diagram/), how it looks (view/, render/).

import {
  RuntimeFault,
  type BufferOwner,
  type CacheState,
  type KernelTime,
  type ModelChoice,
  type ModelInspection,
  type StepProfile,
} from '../shared/engine.ts'
import { isCancelled, shownFault, type ShownFault } from '../shared/fault.ts'
import { ModelLoader, type ModelActions, type ModelState } from '../shared/modelLoader.ts'
import { Store } from '../shared/store.ts'
import type { Notice } from '../shared/notice.ts'
import type { Theme } from '../shared/theme.ts'
import { loadEngine, type InspectedEngine } from './engine.ts'
import { keptTheme, keepTheme } from './keptTheme.ts'

/** What one looks at, in the graph or in the plan. */
export type Selection =
  | { readonly kind: 'op'; readonly index: number }
  | { readonly kind: 'dispatch'; readonly index: number }

/** What stands out because something was pointed at. */
export type Highlight =
  | { readonly kind: 'buffer'; readonly id: number }
  | { readonly kind: 'kernel'; readonly variant: string; readonly origin: string }

export interface Run {
  readonly id: number
  readonly text: string
  readonly status: 'running' | 'done' | 'stopped' | 'failed'
  readonly fault?: ShownFault
}

export type Profiling =
  | { readonly status: 'none' | 'running' }
  | { readonly status: 'done'; readonly profiles: readonly StepProfile[] }
  | { readonly status: 'failed'; readonly fault: ShownFault }

export interface InspectorState {
  readonly theme: Theme
  readonly model: ModelState<InspectedEngine>
  readonly inspection: ModelInspection | undefined
  readonly view: 'graph' | 'plan'
  /** Index of the plan that is shown. */
  readonly plan: number
  /** What the boxes of a plan are coloured by. */
  readonly colour: 'kind' | 'time'
  readonly selection: Selection | undefined
  readonly highlight: Highlight | undefined
  readonly profiling: Profiling
  readonly cache: CacheState | undefined
  readonly memory: Readonly<Record<BufferOwner, number>> | undefined
  readonly runs: readonly Run[]
  /** Id of the sequence of the first run: the others have the next ones. */
  readonly firstSequence: number | undefined
  readonly notice: Notice | undefined
}

/** How often the KV cache is looked at while something runs. */
const lookEveryMs = 100
const maxTokens = 200

export class Session implements ModelActions {
  readonly store: Store<InspectorState>
  readonly #models = new ModelLoader<InspectedEngine>({
    open: loadEngine,
    onChange: (model) => this.#showModel(model),
    onNotice: (text) => this.notify({ text }),
  })
  #running = new AbortController()
  #nextRun = 1
  #isWatching = false

  constructor() {
    this.store = new Store<InspectorState>({
      theme: keptTheme(),
      model: this.#models.state,
      view: 'graph',
      colour: 'kind',
      notice: undefined,
      ...nothing,
    })
  }

  load(choice: ModelChoice): void {
    this.stop()
    this.#models.load(choice)
  }

  reload(): void {
    this.load(this.store.value.model.choice ?? { kind: 'embedded' })
  }

  cancelLoad(): void {
    this.#models.cancel()
  }

  setTheme(theme: Theme): void {
    keepTheme(theme)
    this.store.update({ theme })
  }

  notify(notice: Notice | undefined): void {
    this.store.update({ notice })
  }

  show(view: InspectorState['view']): void {
    const { selection, inspection, plan } = this.store.value
    this.store.update({ view, highlight: undefined, selection: across(selection, view, inspection, plan) })
  }

  showPlan(plan: number): void {
    this.store.update({ plan, highlight: undefined, selection: undefined })
  }

  colourBy(colour: InspectorState['colour']): void {
    this.store.update({ colour })
    if (colour === 'time' && this.store.value.profiling.status === 'none') void this.profile()
  }

  select(selection: Selection | undefined): void {
    const view =
      selection === undefined ? {} : ({ view: selection.kind === 'op' ? 'graph' : 'plan' } as const)
    this.store.update({ selection, highlight: undefined, ...view })
  }

  highlight(highlight: Highlight | undefined): void {
    this.store.update({ highlight, ...(highlight !== undefined && { view: 'plan' as const }) })
  }

  /** Shows where a kernel of a profile runs. */
  highlightKernel({ plan }: StepProfile, { variant, origin }: KernelTime): void {
    this.store.update({ plan, selection: undefined })
    this.highlight({ kind: 'kernel', variant, origin })
  }

  async profile(): Promise<void> {
    const { engine } = this.store.value.model
    if (engine === undefined || this.store.value.profiling.status === 'running') return
    this.store.update({ profiling: { status: 'running' } })
    const profiling = await engine.inspect.profile().then(
      (profiles): Profiling => ({ status: 'done', profiles }),
      (error: unknown): Profiling => ({ status: 'failed', fault: shownFault(error) }),
    )
    if (engine === this.store.value.model.engine) this.store.update({ profiling })
  }

  /** Starts `count` texts side by side. */
  run(prompt: string, count: number): void {
    const { engine } = this.store.value.model
    if (engine === undefined || prompt.trim() === '') return
    if (this.#running.signal.aborted || this.#isOver()) {
      this.#running = new AbortController()
      this.store.update({ runs: [], firstSequence: undefined })
    }
    for (let i = 0; i < count; i++) void this.#write(engine, prompt.trim())
    void this.#watch(engine)
  }

  stop(): void {
    this.#running.abort()
  }

  #isOver(): boolean {
    return this.store.value.runs.every(({ status }) => status !== 'running')
  }

  async #write(engine: InspectedEngine, prompt: string): Promise<void> {
    const id = this.#nextRun++
    const { signal } = this.#running
    let run: Run = { id, text: '', status: 'running' }
    const show = (changes: Partial<Run>): void => {
      run = { ...run, ...changes }
      this.store.update(({ runs }) => ({ runs: runs.map((other) => (other.id === id ? run : other)) }))
    }
    this.store.update(({ runs }) => ({ runs: [...runs, run] }))
    try {
      for await (const piece of engine.generate({ prompt, seed: id, maxTokens, signal }))
        show({ text: run.text + piece })
      show({ status: 'done' })
    } catch (error) {
      if (signal.aborted || isCancelled(error)) return show({ status: 'stopped' })
      show({ status: 'failed', fault: shownFault(error) })
    }
  }

  /** Looks at the KV cache until all is over, and once more then. */
  async #watch(engine: InspectedEngine): Promise<void> {
    if (this.#isWatching) return
    this.#isWatching = true
    try {
      for (let isLast = false; !isLast;) {
        isLast = this.#isOver()
        const cache = await engine.inspect.kvCache()
        if (engine !== this.store.value.model.engine) return
        const ids = cache.sequences.map(({ id }) => id)
        this.store.update(({ firstSequence = ids.length === 0 ? undefined : Math.min(...ids) }) => ({
          cache,
          memory: engine.memory(),
          firstSequence,
        }))
        await new Promise((resolve) => setTimeout(resolve, lookEveryMs))
        // An aborted sequence may hold its blocks until the step that runs is over.
        isLast &&= cache.sequences.length === 0
      }
    } catch (error) {
      if (!(error instanceof RuntimeFault && error.code === 'engine/disposed'))
        this.notify({ text: String(error) })
    } finally {
      this.#isWatching = false
    }
  }

  #showModel(model: ModelState<InspectedEngine>): void {
    const { engine } = model
    if (engine === this.store.value.model.engine) return this.store.update({ model })
    this.store.update({ model, ...nothing })
    if (engine !== undefined) void this.#look(engine)
  }

  async #look(engine: InspectedEngine): Promise<void> {
    try {
      const [inspection, cache] = await Promise.all([engine.inspect.model(), engine.inspect.kvCache()])
      if (engine !== this.store.value.model.engine) return
      this.store.update({ inspection, cache, memory: engine.memory(), plan: inspection.plans.length - 1 })
    } catch (error) {
      this.notify({ text: shownFault(error).message })
    }
  }
}

/** What belongs to a model, before there is one. */
const nothing = {
  inspection: undefined,
  plan: 0,
  selection: undefined,
  highlight: undefined,
  profiling: { status: 'none' },
  cache: undefined,
  memory: undefined,
  runs: [],
  firstSequence: undefined,
} as const

/** The same thing in the other view: the op of a dispatch, the first dispatch of an op. */
function across(
  selection: Selection | undefined,
  view: InspectorState['view'],
  inspection: ModelInspection | undefined,
  plan: number,
): Selection | undefined {
  const dispatches = inspection?.plans[plan]?.dispatches
  if (selection === undefined || dispatches === undefined) return undefined
  if ((selection.kind === 'op') === (view === 'graph')) return selection
  if (selection.kind === 'dispatch') return { kind: 'op', index: dispatches[selection.index]!.opIndex }
  const index = dispatches.findIndex(({ opIndex }) => opIndex === selection.index)
  return index === -1 ? undefined : { kind: 'dispatch', index }
}
