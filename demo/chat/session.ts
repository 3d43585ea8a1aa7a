// Everything the page can do: the state that it shows, and the actions that change it.
// Not here: loading a model (modelLoader.ts), writing one answer (answering.ts), how it looks (view/).

import { answerQuestion } from './answering.ts'
import * as change from './conversation.ts'
import type { Conversation } from './conversation.ts'
import { loadEngine, type ChatEngine } from './engine.ts'
import { shownFault } from '../shared/fault.ts'
import type { ModelChoice } from '../shared/engine.ts'
import { ModelLoader, type ModelActions, type ModelState } from '../shared/modelLoader.ts'
import { defaultSettings, type Sampling, type Settings } from './settings.ts'
import { Storage } from './storage.ts'
import type { Notice } from '../shared/notice.ts'
import { Store } from '../shared/store.ts'

export interface SessionState {
  /** Newest first; never empty. */
  readonly conversations: readonly Conversation[]
  readonly currentId: string
  /** Conversations in which an answer is being written. */
  readonly running: ReadonlySet<string>
  readonly settings: Settings
  readonly model: ModelState<ChatEngine>
  readonly notice: Notice | undefined
}

export class Session implements ModelActions {
  readonly store: Store<SessionState>
  readonly #storage = new Storage((error) => this.#notKept(error))
  readonly #running = new Map<string, AbortController>()
  readonly #models = new ModelLoader<ChatEngine>({
    open: loadEngine,
    onChange: (model) => this.#showModel(model),
    onNotice: (text) => this.notify({ text }),
  })

  constructor() {
    const first = change.newConversation(Date.now())
    this.store = new Store<SessionState>({
      conversations: [first],
      currentId: first.id,
      running: new Set(),
      settings: defaultSettings,
      model: this.#models.state,
      notice: undefined,
    })
  }

  /** Brings back what was kept. */
  async restore(): Promise<void> {
    try {
      const { conversations, settings } = await this.#storage.load()
      const list = change.byRecency(conversations)
      const current = list.find(({ id }) => id === settings.conversationId) ?? list[0]
      this.store.update({ settings })
      if (current !== undefined) this.store.update({ conversations: list, currentId: current.id })
    } catch (error) {
      this.#notKept(error)
    }
  }

  get current(): Conversation {
    return this.#find(this.store.value.currentId) ?? this.create()
  }

  // Models

  load(choice: ModelChoice): void {
    // Answers that still wait for a model take the new one.
    if (this.store.value.model.status === 'ready') {
      for (const abort of this.#running.values()) abort.abort()
    }
    this.#models.load(choice)
  }

  /** The model of the last visit, or the embedded one. */
  loadFirst(): void {
    const { model } = this.store.value.settings
    this.load(model === undefined ? { kind: 'embedded' } : { kind: 'named', name: model })
  }

  reload(): void {
    const { choice } = this.store.value.model
    if (choice === undefined) this.loadFirst()
    else this.load(choice)
  }

  cancelLoad(): void {
    this.#models.cancel()
  }

  // Conversations

  /** An empty one; the current one if that is. */
  create(): Conversation {
    const empty = this.store.value.conversations.find(change.isEmpty)
    const conversation = empty ?? change.newConversation(Date.now())
    if (empty === undefined) {
      this.store.update(({ conversations }) => ({ conversations: [conversation, ...conversations] }))
    }
    this.select(conversation.id)
    return conversation
  }

  select(currentId: string): void {
    this.store.update({ currentId })
    this.#set({ conversationId: currentId })
  }

  rename(id: string, title: string): void {
    this.#edit(id, (conversation) => change.rename(conversation, title))
  }

  setSystem(id: string, system: string): void {
    this.#edit(id, (conversation) => ({ ...conversation, system }))
  }

  remove(id: string): void {
    const removed = this.#find(id)
    if (removed === undefined) return
    this.stop(id)
    this.store.update(({ conversations }) => ({ conversations: conversations.filter((c) => c.id !== id) }))
    void this.#storage.remove(id)
    const { currentId, conversations } = this.store.value
    if (currentId === id) {
      const [next] = conversations
      if (next === undefined) this.create()
      else this.select(next.id)
    }
    if (change.isEmpty(removed)) return
    const undo = (): void => {
      const conversation = change.restored(removed)
      this.store.update(({ conversations }) => ({
        conversations: change.byRecency([...conversations, conversation]),
      }))
      this.#storage.keep(conversation)
      this.select(id)
      this.notify(undefined)
      void this.#storage.flush()
    }
    this.notify({ text: `Deleted “${removed.title}”.`, action: { label: 'Undo', run: undo } })
  }

  // Messages

  send(text: string): void {
    const content = text.trim()
    const { id } = this.current
    if (content === '' || this.#running.has(id)) return
    this.#edit(id, (conversation) => change.ask(conversation, content, Date.now()))
    this.#answer(id)
  }

  editQuestion(id: string, messageId: string, text: string): void {
    const content = text.trim()
    if (content === '' || this.#running.has(id)) return
    this.#edit(id, (conversation) => change.editQuestion(conversation, messageId, content, Date.now()))
    this.#answer(id)
  }

  regenerate(id: string, messageId: string): void {
    if (this.#running.has(id)) return
    this.#edit(id, (conversation) => change.dropAnswer(conversation, messageId))
    this.#answer(id)
  }

  stop(id: string): void {
    this.#running.get(id)?.abort()
  }

  // The page

  setTheme(theme: Settings['theme']): void {
    this.#set({ theme })
  }

  setSampling(sampling: Partial<Sampling>): void {
    this.#set({ sampling: { ...this.store.value.settings.sampling, ...sampling } })
  }

  notify(notice: Notice | undefined): void {
    this.store.update({ notice })
  }

  #answer(id: string): void {
    const abort = new AbortController()
    this.#running.set(id, abort)
    this.#showRunning()
    this.#edit(id, (conversation) => change.beginAnswer(conversation, Date.now()))
    const conversation = this.#find(id)
    const answer = conversation?.messages.at(-1)
    if (conversation === undefined || answer === undefined) return
    // The others keep their order while this one is in use.
    this.store.update(({ conversations }) => ({ conversations: change.byRecency(conversations) }))
    const writing = answerQuestion({
      conversation: { ...conversation, messages: conversation.messages.slice(0, -1) },
      sampling: this.store.value.settings.sampling,
      signal: abort.signal,
      engine: () => this.#models.ready(abort.signal),
      onChange: (changes) => this.#edit(id, (c) => change.updateAnswer(c, answer.id, changes)),
      onFatal: (fault) => this.#models.fail(fault),
    })
    void writing.finally(() => {
      this.#running.delete(id)
      this.#showRunning()
      return this.#storage.flush()
    })
  }

  /** What has loaded once is loaded at the next visit; files are gone by then. */
  #showModel(model: ModelState<ChatEngine>): void {
    this.store.update({ model })
    const { status, choice } = model
    if (status !== 'ready' || choice === undefined || choice.kind === 'files') return
    const name = choice.kind === 'named' ? choice.name : undefined
    if (name !== this.store.value.settings.model) this.#set({ model: name })
  }

  #showRunning(): void {
    this.store.update({ running: new Set(this.#running.keys()) })
  }

  #find(id: string): Conversation | undefined {
    return this.store.value.conversations.find((conversation) => conversation.id === id)
  }

  #edit(id: string, edit: (conversation: Conversation) => Conversation): void {
    const before = this.#find(id)
    if (before === undefined) return
    const after = edit(before)
    this.store.update(({ conversations }) => ({
      conversations: conversations.map((conversation) => (conversation.id === id ? after : conversation)),
    }))
    this.#storage.keep(after)
  }

  #set(settings: Partial<Settings>): void {
    this.store.update({ settings: { ...this.store.value.settings, ...settings } })
    this.#storage.keepSettings(this.store.value.settings)
  }

  #notKept(error: unknown): void {
    this.notify({
      text: `This browser keeps no conversations now: ${shownFault(error).message} They stay until you close this tab.`,
    })
  }
}
