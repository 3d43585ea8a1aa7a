// A host and its clients in one thread, joined by real MessagePorts, with Web Locks that can lose a holder.

import { createWorkerEngine } from '../../../src/worker/client.ts'
import type { WorkerLink } from '../../../src/worker/connection.ts'
import { createEngineHost, type EngineHost } from '../../../src/worker/host.ts'
import type { CreateEngine } from '../../../src/worker/hostClient.ts'
import type { Locks } from '../../../src/worker/liveness.ts'
import type { LoadOptions } from '../../../src/worker/protocol.ts'
import type { Engine, ModelSource } from '../../../src/api/types.ts'
import { createNullEngine, type NullEngine, type NullEngineOptions } from '../../helpers/nullEngine.ts'

type Connect = (model?: ModelSource, options?: LoadOptions, start?: () => WorkerLink) => Promise<Engine>

export interface Tab {
  readonly connect: Connect
  /** Ends the locks that its clients hold; nothing is said to the worker. */
  readonly close: () => void
}

export interface Pair {
  readonly host: EngineHost
  /** Those that the host has made. */
  readonly engines: readonly NullEngine[]
  readonly connect: Connect
  /** Another tab than that of `connect`. */
  readonly openTab: () => Tab
  readonly closeTabs: () => void
  /** Ends the worker as a crash does: an event, if it is seen. */
  readonly crash: (cause: unknown) => void
  /** Ends the worker as the system does when memory is short: no event. */
  readonly kill: () => void
  /** Links that are open. */
  readonly numLinks: number
  /** Locks that are held or waited for, the worker's own among them. */
  readonly numLocks: number
}

/** With `hasLocks` false, as on pages that came over plain http. */
export function pair(options: NullEngineOptions = {}, create?: CreateEngine, hasLocks = true): Pair {
  const engines: NullEngine[] = []
  const all = lockSpace()
  const hostLocks = all.manager()
  const createNull: CreateEngine = async () => {
    const engine = createNullEngine(options)
    engines.push(engine)
    return engine
  }
  const host = createEngineHost(create ?? createNull, hasLocks ? hostLocks.locks : undefined)
  const failures = new Set<(cause: unknown) => void>()
  let numLinks = 0
  const link = (): WorkerLink => {
    numLinks++
    let isOpen = true
    return {
      postMessage: (message) => host.onMessage(message),
      onFailure: (callback) => failures.add(callback),
      close() {
        if (isOpen) numLinks--
        isOpen = false
      },
    }
  }
  const tabs: Tab[] = []
  const openTab = (): Tab => {
    const { locks, dropAll } = all.manager()
    const tab: Tab = {
      connect: (model = 'null', options = {}, start = link) =>
        createWorkerEngine(start, model, options, hasLocks ? locks : undefined),
      close: dropAll,
    }
    tabs.push(tab)
    return tab
  }
  return {
    host,
    engines,
    connect: openTab().connect,
    openTab,
    closeTabs: () => tabs.forEach((tab) => tab.close()),
    crash: (cause) => failures.forEach((fail) => fail(cause)),
    kill: hostLocks.dropAll,
    get numLinks() {
      return numLinks
    },
    get numLocks() {
      return all.count()
    },
  }
}

interface Waiting {
  readonly run: () => void
}

/** Exclusive locks by name, first come first served; each manager is one agent that can be dropped. */
function lockSpace(): {
  manager: () => { locks: Locks; dropAll: () => void }
  count: () => number
} {
  const queues = new Map<string, Waiting[]>()
  const next = (name: string): void => queues.get(name)?.[0]?.run()
  return {
    count: () => [...queues.values()].reduce((sum, queue) => sum + queue.length, 0),
    manager() {
      const held = new Set<() => void>()
      return {
        dropAll: () => held.forEach((drop) => drop()),
        locks: {
          request: (name, { signal }, callback) =>
            new Promise((resolve, reject) => {
              const queue = queues.get(name) ?? []
              queues.set(name, queue)
              const leave = (): void => {
                const index = queue.indexOf(waiting)
                if (index < 0) return
                queue.splice(index, 1)
                if (index === 0) next(name)
              }
              const waiting: Waiting = {
                run() {
                  const drop = (): void => {
                    held.delete(drop)
                    leave()
                    resolve(undefined)
                  }
                  held.add(drop)
                  callback().then(drop, reject)
                },
              }
              signal?.addEventListener('abort', () => {
                leave()
                reject(signal.reason)
              })
              if (queue.push(waiting) === 1) next(name)
            }),
        },
      }
    },
  }
}
