// The engine of a worker, with the same interface as one in the thread. Not here: how messages travel
// (connection.ts) and how workers are started (src/browser).

import { completions } from '../api/completions.ts'
import { checkModelSource } from '../api/loadOptions.ts'
import type { Completions, Engine, ModelSource, SamplingOptions } from '../api/types.ts'
import { AsyncQueue } from '../core/asyncQueue.ts'
import { RuntimeFault, invariant, throwIfCancelled } from '../core/errors.ts'
import { emptyCache, type ModelCache } from '../weights/remote/modelCache.ts'
import { Connection, type WorkerLink } from './connection.ts'
import type { Locks } from './liveness.ts'
import type { EngineInfo, LoadEvent, LoadOptions, WireModel } from './protocol.ts'
import { serveStore } from './portStore.ts'

/**
 * Loads a model in a worker, which is started once the model is known to be one. Throws engine/input, what `start` and
 * loading throw, worker/failed when the worker ends, worker/protocol when it is of another version; on failure the link is
 * closed. `cache` is the page's own: both sides see the same files.
 */
export async function createWorkerEngine(
  start: () => WorkerLink,
  source: ModelSource,
  { signal, onProgress, onNotice, onEvent, ...options }: LoadOptions,
  locks: Locks | undefined,
  cache: ModelCache = emptyCache,
): Promise<Engine> {
  checkModelSource(source)
  const connection = new Connection(start(), locks, (event) =>
    event.type === 'notice' ? onNotice?.(event.message) : onEvent?.(event),
  )
  const { model, transfer, close } = describeModel(source)
  connection.ended.addEventListener('abort', close)
  try {
    throwIfCancelled(signal, 'load')
    const request = { method: 'load', params: { model, options } } as const
    const onItem = (event: LoadEvent): void => {
      if (event.type === 'progress') onProgress?.(event.progress)
      else onNotice?.(event.message)
    }
    const info = await connection.call<'load'>(request, { signal, transfer, onItem }).result
    return {
      ...info,
      get adapter() {
        return connection.adapter ?? info.adapter
      },
      ...callsOn(connection),
      cache,
    }
  } catch (error) {
    connection.fail(disposedFault(error))
    throw error
  }
}

function callsOn(connection: Connection): Omit<Engine, keyof EngineInfo | 'cache'> {
  let disposal: Promise<void> | undefined
  const dispose = (): Promise<void> => (disposal ??= connection.dispose(disposedFault()))
  return {
    chat: {
      completions: completionsBy('chat', ({ signal, ...request }, stream, onItem) =>
        connection.call<'chat'>({ method: 'chat', params: { ...request, stream } }, { signal, onItem }),
      ),
    },
    completions: completionsBy('text', ({ signal, ...request }, stream, onItem) =>
      connection.call<'completion'>(
        { method: 'completion', params: { ...request, stream } },
        { signal, onItem },
      ),
    ),
    countTokens: (prompt, { signal } = {}) =>
      connection.call<'countTokens'>({ method: 'countTokens', params: { prompt } }, { signal }).result,
    logits: (tokens, { signal } = {}) =>
      connection.call<'logits'>({ method: 'logits', params: { tokens } }, { signal }).result,
    inspect: {
      model: () => connection.call<'inspectModel'>({ method: 'inspectModel', params: undefined }).result,
      kvCache: () => connection.call<'kvCache'>({ method: 'kvCache', params: undefined }).result,
      profile: ({ signal, ...params } = {}) =>
        connection.call<'profile'>({ method: 'profile', params }, { signal }).result,
    },
    memory: () => connection.memory,
    dispose,
    [Symbol.asyncDispose]: dispose,
  }
}

function completionsBy<Request extends SamplingOptions, Whole, Chunk>(
  kind: 'chat' | 'text',
  call: (
    request: Request,
    stream: boolean,
    onItem?: (chunk: Chunk) => void,
  ) => { readonly result: Promise<Whole | undefined>; readonly cancel: () => void },
): Completions<Request, Whole, Chunk> {
  async function* stream(request: Request): AsyncGenerator<Chunk, void, undefined> {
    const queue = new AsyncQueue<Chunk>()
    const { result, cancel } = call(request, true, (chunk) => queue.push(chunk))
    result.then(
      () => queue.close(),
      (error: unknown) => queue.fail(error),
    )
    try {
      yield* queue
    } finally {
      cancel()
    }
  }
  async function whole(request: Request): Promise<Whole> {
    const result = await call(request, false).result
    invariant(result !== undefined, 'a whole answer')
    return result
  }
  return completions(kind, stream, whole)
}

interface DescribedModel {
  readonly model: WireModel
  readonly transfer: readonly Transferable[]
  /** Ends what the page serves to the worker. */
  readonly close: () => void
}

function describeModel(source: ModelSource): DescribedModel {
  const plain = { transfer: [], close: () => undefined }
  if (typeof source === 'string') return { ...plain, model: { kind: 'id', id: source } }
  if (!('open' in source)) {
    const files = Array.from(source, (file) => ({
      path: file.webkitRelativePath || file.name,
      lastModified: file.lastModified,
      blob: file,
    }))
    return { ...plain, model: { kind: 'files', files } }
  }
  const { port1, port2 } = new MessageChannel()
  return {
    model: { kind: 'store', name: source.name, port: port2 },
    transfer: [port2],
    close: serveStore(source, port1),
  }
}

function disposedFault(cause?: unknown): RuntimeFault {
  return new RuntimeFault('engine/disposed', {
    where: 'engine',
    expected: 'a live engine',
    got: 'a disposed one',
    fix: 'Create a new engine.',
    cause,
  })
}
