// One client of a worker: its requests, its engine, its memory figures. Gone when it says so or its lock is free.

import { expose } from 'comlink'
import type { Engine, ModelSource } from '../api/types.ts'
import { RuntimeFault } from '../core/errors.ts'
import { answer } from './answer.ts'
import type { EnginePool, Lease } from './enginePool.ts'
import type {
  CancelMessage,
  EngineInfo,
  EngineMessage,
  HostApi,
  HostMessage,
  HostRequest,
  LoadEvent,
  LoadOptions,
  LoadParams,
  Memory,
  Method,
  Methods,
  Reply,
  WireBlob,
  WireModel,
} from './protocol.ts'
import { remoteStore } from './portStore.ts'
import { replyOf, toWireError } from './wireError.ts'

export type CreateEngine = (model: ModelSource, options: LoadOptions) => Promise<Engine>

const noMemory: Memory = { weights: 0, states: 0, arena: 0, step: 0, readback: 0 }

export class HostClient {
  readonly #requests = new Set<AbortController>()
  readonly #pool: EnginePool
  readonly #create: CreateEngine
  readonly #port: MessagePort
  readonly #onEnd: () => void
  #loading: Promise<Lease> | undefined
  #lease: Lease | undefined
  /** As of the last message. */
  #memory: Memory = noMemory
  /** Lets go of a source that is this client's alone. */
  #closeModel: (() => void) | undefined
  #disposal: Promise<Reply<Memory>> | undefined

  constructor(pool: EnginePool, create: CreateEngine, port: MessagePort, onEnd: () => void) {
    this.#pool = pool
    this.#create = create
    this.#port = port
    this.#onEnd = onEnd
    const api: HostApi = {
      start: (request, answers) => void this.#serve(request, answers),
      dispose: () => this.dispose(),
    }
    expose(api, port)
  }

  get numRequests(): number {
    return this.#requests.size
  }

  /** Ends the client's requests and lets go of its engine. Idempotent. */
  dispose(): Promise<Reply<Memory>> {
    return (this.#disposal ??= replyOf(() => this.#free()))
  }

  async #free(): Promise<Memory> {
    for (const request of this.#requests) request.abort()
    // Before the load, which may be waiting for a page that is gone.
    this.#closeModel?.()
    try {
      const lease = await this.#loading?.catch(() => undefined)
      const isGone = await lease?.release()
      return lease !== undefined && isGone === true ? lease.engine.memory() : noMemory
    } finally {
      this.#onEnd()
      // The reply still has to leave.
      setTimeout(() => this.#port.close())
    }
  }

  async #serve(request: HostRequest, port: MessagePort): Promise<void> {
    const abort = new AbortController()
    this.#requests.add(abort)
    port.addEventListener('message', ({ data }: MessageEvent<CancelMessage>) => {
      if (data.type === 'cancel') abort.abort()
    })
    port.start()
    const post = (message: HostMessage): void => {
      this.#reportMemory(port)
      port.postMessage(message)
    }
    try {
      const push = (value: Methods[Method]['item']): void => post({ type: 'item', value })
      post({ type: 'done', result: await this.#run(request, abort.signal, push) })
    } catch (error) {
      post({ type: 'failed', error: toWireError(error) })
    } finally {
      this.#requests.delete(abort)
      port.close()
    }
  }

  async #run(
    request: HostRequest,
    signal: AbortSignal,
    push: (item: Methods[Method]['item']) => void,
  ): Promise<Methods[Method]['result']> {
    if (this.#disposal !== undefined) throw stateFault('a live engine', 'a disposed one')
    if (request.method === 'load') return this.#load(request.params, signal, push)
    if (this.#lease === undefined) throw stateFault('a loaded model', 'none yet')
    return answer(this.#lease.engine, request, signal, push)
  }

  async #load(
    { model, options }: LoadParams,
    signal: AbortSignal,
    push: (event: LoadEvent) => void,
  ): Promise<EngineInfo> {
    if (this.#loading !== undefined) throw stateFault('one model for a client', 'another')
    const port = this.#port
    const { source, close } = openWireModel(model)
    // Closed with the client only: the engine reads it again after the loss of its device.
    this.#closeModel = close
    this.#loading = this.#pool.acquire(
      sharingKey(model, options),
      ({ signal, onEvent }) =>
        this.#create(source, {
          ...options,
          signal,
          onProgress: (progress) => onEvent({ type: 'progress', progress }),
          onNotice: (message) => onEvent({ type: 'notice', message }),
          onEvent,
        }),
      {
        signal,
        onEvent: (event) => {
          const isOfLoad = event.type === 'progress' || (event.type === 'notice' && this.#lease === undefined)
          if (isOfLoad) return push(event)
          const adapter = this.#lease?.engine.adapter
          port.postMessage({ type: 'event', event, adapter } satisfies EngineMessage)
        },
      },
    )
    this.#lease = await this.#loading
    return infoOf(this.#lease.engine)
  }

  #reportMemory(port: MessagePort): void {
    const memory = this.#lease?.engine.memory() ?? noMemory
    const hasChanged = (Object.keys(memory) as (keyof Memory)[]).some(
      (owner) => memory[owner] !== this.#memory[owner],
    )
    if (!hasChanged) return
    this.#memory = memory
    port.postMessage({ type: 'memory', memory } satisfies HostMessage)
  }
}

function infoOf({ model, adapter, dtype, vocabSize, maxSeqLen, shrunk }: Engine): EngineInfo {
  return { model, adapter, dtype, vocabSize, maxSeqLen, shrunk }
}

/** Engines with equal keys are one. A store that stays with its client is never shared: its contents are not known. */
function sharingKey(model: WireModel, options: LoadParams['options']): string {
  const entries = Object.entries(options).filter(([, value]) => value !== undefined)
  const key = JSON.stringify(entries.sort(([a], [b]) => (a < b ? -1 : 1)))
  switch (model.kind) {
    case 'id':
      return `${key} ${model.id}`
    case 'files':
      return `${key} ${JSON.stringify(model.files.map(({ path, lastModified, blob }) => [path, lastModified, blob.size]))}`
    case 'store':
      return crypto.randomUUID()
    default:
      return model satisfies never
  }
}

function openWireModel(model: WireModel): { source: ModelSource; close: () => void } {
  const close = (): void => undefined
  switch (model.kind) {
    case 'id':
      return { source: model.id, close }
    case 'files':
      return { source: model.files.map(fileOf), close }
    case 'store': {
      const source = remoteStore(model.name, model.port)
      return { source, close: () => source.end() }
    }
    default:
      return model satisfies never
  }
}

const fileOf = ({ path, lastModified, blob }: WireBlob): File => new File([blob], path, { lastModified })

function stateFault(expected: string, got: string): RuntimeFault {
  return new RuntimeFault('engine/disposed', {
    where: 'worker',
    expected,
    got,
    fix: 'Create a new engine.',
  })
}
