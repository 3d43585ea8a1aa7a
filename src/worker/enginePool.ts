// Engines by what was asked for, each with as many users as asked for the same: loaded once, disposed with the last.

import type { Engine, EngineEvent } from '../api/types.ts'
import { throwIfCancelled } from '../core/errors.ts'
import { untilCancelled } from '../core/untilCancelled.ts'
import type { LoadEvent } from './protocol.ts'

export interface LoadHooks {
  /** Ends the load. */
  readonly signal: AbortSignal
  /** Told of the load, and of the engine as long as it lives. */
  readonly onEvent: (event: LoadEvent | EngineEvent) => void
}

export interface Lease {
  readonly engine: Engine
  /** Disposes the engine if nobody else uses it, and tells whether it is gone. Idempotent. */
  release(): Promise<boolean>
}

interface Entry {
  readonly engine: Promise<Engine>
  readonly users: Set<LoadHooks>
  readonly abort: AbortController
  disposal: Promise<void> | undefined
}

export class EnginePool {
  readonly #entries = new Map<string, Entry>()

  get size(): number {
    return this.#entries.size
  }

  /** A load goes on until it is done or all who wait for it have aborted; a failed one is forgotten. */
  async acquire(key: string, load: (hooks: LoadHooks) => Promise<Engine>, user: LoadHooks): Promise<Lease> {
    // The old engine's memory first, then the new one's.
    for (let old = this.#entries.get(key); old?.disposal !== undefined; old = this.#entries.get(key)) {
      await old.disposal
    }
    throwIfCancelled(user.signal, 'load')
    const entry = this.#entries.get(key) ?? this.#load(key, load)
    entry.users.add(user)
    const release = async (): Promise<boolean> => {
      if (entry.users.delete(user) && entry.users.size === 0) entry.disposal = this.#dispose(key, entry)
      await entry.disposal
      return entry.disposal !== undefined
    }
    try {
      return { engine: await untilCancelled(entry.engine, 'load', user.signal), release }
    } catch (error) {
      await release()
      throw error
    }
  }

  #load(key: string, load: (hooks: LoadHooks) => Promise<Engine>): Entry {
    const users = new Set<LoadHooks>()
    const abort = new AbortController()
    const onEvent: LoadHooks['onEvent'] = (event) => {
      for (const user of users) user.onEvent(event)
    }
    const entry: Entry = {
      // Later, when its first user is there to hear of its progress.
      engine: Promise.resolve().then(() => load({ signal: abort.signal, onEvent })),
      users,
      abort,
      disposal: undefined,
    }
    this.#entries.set(key, entry)
    return entry
  }

  async #dispose(key: string, entry: Entry): Promise<void> {
    entry.abort.abort()
    try {
      await (await entry.engine.catch(() => undefined))?.dispose()
    } finally {
      this.#entries.delete(key)
    }
  }
}
