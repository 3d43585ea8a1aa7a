// Starts or takes the worker that an engine runs in. Not here: what is said to it (src/worker).

import { RuntimeFault } from '../core/errors.ts'
import type { WorkerLink } from '../worker/connection.ts'

/**
 * `true`: a worker of its own. `'shared'`: the one of all tabs of this origin. A Worker, or a function that makes one:
 * whose script imports `tabhopper/worker`; one that was made is ended with the engine.
 */
export type WorkerChoice = true | 'shared' | Worker | (() => Worker)

/** Throws worker/failed where there are no such workers. */
export function startWorker(choice: WorkerChoice): WorkerLink {
  try {
    if (choice === 'shared') return linkShared(startShared())
    if (choice === true) return linkWorker(startDedicated(), true)
    return typeof choice === 'function' ? linkWorker(choice(), true) : linkWorker(choice, false)
  } catch (cause) {
    throw new RuntimeFault('worker/failed', {
      where: choice === 'shared' ? 'SharedWorker' : 'Worker',
      expected: 'a worker',
      got: String(cause),
      fix: 'Some browsers have no shared workers: use a worker of its own, or worker: false.',
      cause,
    })
  }
}

// Spelled out as bundlers look for it; the build puts the built file's name in.
const startDedicated = (): Worker =>
  new Worker(new URL('../worker.ts', import.meta.url), { type: 'module', name: 'tabhopper' })

const startShared = (): SharedWorker =>
  new SharedWorker(new URL('../worker.ts', import.meta.url), { type: 'module', name: 'tabhopper' })

function linkWorker(worker: Worker, isOwn: boolean): WorkerLink {
  const listening = new AbortController()
  return {
    postMessage: (message, transfer) => worker.postMessage(message, transfer),
    onFailure: (callback) => listen(worker, listening.signal, callback),
    close() {
      listening.abort()
      if (isOwn) worker.terminate()
    },
  }
}

function linkShared(worker: SharedWorker): WorkerLink {
  const { port } = worker
  const listening = new AbortController()
  return {
    postMessage: (message, transfer) => port.postMessage(message, transfer),
    onFailure(callback) {
      listen(worker, listening.signal, callback)
      listen(port, listening.signal, callback)
    },
    close() {
      listening.abort()
      port.close()
    },
  }
}

function listen(target: EventTarget, signal: AbortSignal, callback: (cause: unknown) => void): void {
  const onEvent = (event: Event): void => {
    const message = event instanceof ErrorEvent && event.message !== '' ? event.message : event.type
    callback(new Error(message))
  }
  target.addEventListener('error', onEvent, { signal })
  target.addEventListener('messageerror', onEvent, { signal })
}
