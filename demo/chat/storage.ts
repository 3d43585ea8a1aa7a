// Conversations and settings in IndexedDB. What changes is written at once, a text that grows twice a second, not at
// every token.

import { createStore, del, entries, set } from 'idb-keyval'
import { isConversation, restored, type Conversation } from './conversation.ts'
import { restoredSettings, type Settings } from './settings.ts'

export interface Kept {
  readonly conversations: Conversation[]
  readonly settings: Settings
}

const writeEveryMs = 500
const prefix = 'conversation:'
const settingsKey = 'settings'

export class Storage {
  readonly #store = createStore('tabhopper-chat', 'kept')
  readonly #pending = new Map<string, unknown>()
  readonly #onError: (error: unknown) => void
  #timer: ReturnType<typeof setTimeout> | undefined
  #lastWriteMs = -Infinity

  /** `onError` hears of writes that failed, as on a full disk; what was to be written stays in the page. */
  constructor(onError: (error: unknown) => void) {
    this.#onError = onError
    // The last chance to write before the page goes.
    const flush = (): void => void this.flush()
    addEventListener('pagehide', flush)
    document.addEventListener('visibilitychange', () => document.visibilityState === 'hidden' && flush())
  }

  /** Rejects where the browser keeps nothing. */
  async load(): Promise<Kept> {
    const all = await entries<string, unknown>(this.#store)
    return {
      conversations: all
        .filter(([key]) => key.startsWith(prefix))
        .map(([, value]) => value)
        .filter(isConversation)
        .map(restored),
      settings: restoredSettings(all.find(([key]) => key === settingsKey)?.[1]),
    }
  }

  keep(conversation: Conversation): void {
    this.#write(prefix + conversation.id, conversation)
  }

  keepSettings(settings: Settings): void {
    this.#write(settingsKey, settings)
  }

  async remove(id: string): Promise<void> {
    this.#pending.delete(prefix + id)
    await del(prefix + id, this.#store).catch(this.#onError)
  }

  async flush(): Promise<void> {
    clearTimeout(this.#timer)
    this.#timer = undefined
    if (this.#pending.size === 0) return
    this.#lastWriteMs = performance.now()
    const writes = [...this.#pending]
    this.#pending.clear()
    await Promise.all(writes.map(([key, value]) => set(key, value, this.#store))).catch(this.#onError)
  }

  #write(key: string, value: unknown): void {
    this.#pending.set(key, value)
    const waitMs = this.#lastWriteMs + writeEveryMs - performance.now()
    this.#timer ??= setTimeout(() => void this.flush(), Math.max(0, waitMs))
  }
}
