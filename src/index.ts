// The library in a page: the public API, with the engine in a worker unless asked otherwise.

import { checkLoadOptions, checkModelSource } from './api/loadOptions.ts'
import type { Engine, EngineOptions, ModelCache, ModelOptions, ModelSource } from './api/types.ts'
import { browserCache } from './browser/browserCache.ts'
import { askForPersistence } from './browser/persistence.ts'
import { startWorker, type WorkerChoice } from './browser/startWorker.ts'
import { RuntimeFault } from './core/errors.ts'
import { createWorkerEngine } from './worker/client.ts'

export type * from './api/types.ts'
export type { WorkerChoice } from './browser/startWorker.ts'
export { CancelledFault } from './api/cancelledFault.ts'
export { RuntimeFault, type FaultCode, type FaultDetail } from './core/errors.ts'
export { memoryStore, type ByteSource, type FileStore } from './core/files.ts'

export interface WebEngineOptions extends EngineOptions, ModelOptions {
  /**
   * Files, a store, a hub id (`owner/name` or `owner/name/file.gguf`, also with `@revision` behind the name), or the address
   * of a folder, a .gguf file or a page of the hub; relative ones begin with `/`, `./` or `../` and are relative to the page.
   */
  model: ModelSource
  /** Where the engine runs; `false` is this thread. Default: a worker of its own, or this thread with `device`. */
  worker?: WorkerChoice | false
  /** Computes on this device, in this thread. It stays yours: dispose() frees the engine's buffers only. */
  device?: GPUDevice
}

/**
 * Loads a model. Throws engine/input, weights/*, model/*, device/* and worker/* faults, engine/cancelled as an AbortError; on failure
 * nothing stays allocated.
 */
export async function createEngine(given: WebEngineOptions): Promise<Engine> {
  const { model, worker, device, ...options } = checkLoadOptions(given)
  checkModelSource(model)
  const source = absoluteSource(model)
  if (typeof source === 'string' && options.cache !== false) askForPersistence()
  const choice = worker ?? device === undefined
  if (choice === false) {
    // Loaded only here: most pages leave all of it to the worker.
    const { createLocalEngine } = await import('./browser/localEngine.ts')
    return createLocalEngine(source, options, device)
  }
  if (device !== undefined) throw deviceFault()
  const locks = navigator.locks as LockManager | undefined
  return createWorkerEngine(() => startWorker(choice), source, options, locks, modelCache())
}

/** The weight cache of this origin, without an engine: the same as `Engine.cache`. */
export function modelCache(): ModelCache {
  return {
    list: () => browserCache.list(),
    delete: (model) => browserCache.delete(model && absoluteName(model)),
  }
}

/** A worker would take a relative address for one beside its own script. */
function absoluteSource(source: ModelSource): ModelSource {
  return typeof source === 'string' ? absoluteName(source) : source
}

function absoluteName(name: string): string {
  // A worker of the caller's own has no document.
  const base = (globalThis.document as Document | undefined)?.baseURI ?? location.href
  return /^\.{0,2}\//.test(name) ? new URL(name, base).href : name
}

function deviceFault(): RuntimeFault {
  return new RuntimeFault('engine/input', {
    where: 'device',
    expected: 'an engine in the thread of its GPUDevice',
    got: 'a worker',
    fix: 'Leave worker out, or pass worker: false.',
  })
}
