// A client's end of the line to a worker: requests out, pushed answers in, and one failure for all when it breaks.
// Not here: what is asked (client.ts).

import { transfer, wrap, type Remote } from 'comlink'
import { CancelledFault } from '../api/cancelledFault.ts'
import type { AdapterInfo } from '../api/types.ts'
import { RuntimeFault, cancelled } from '../core/errors.ts'
import { onAbort } from '../core/onAbort.ts'
import { tell } from '../core/tell.ts'
import { holderGone, holdLock, type HeldLock, type Locks } from './liveness.ts'
import {
  protocolVersion,
  type CancelMessage,
  type Connect,
  type EngineMessage,
  type HostApi,
  type HostMessage,
  type HostRequest,
  type Memory,
  type Method,
  type Methods,
  type Welcome,
} from './protocol.ts'
import { fromWireError, unwrapReply } from './wireError.ts'

/** A worker as its owner sees it. */
export interface WorkerLink {
  postMessage(message: unknown, transfer: Transferable[]): void
  /** Calls back when the worker cannot go on, with what is known of the reason. */
  onFailure(callback: (cause: unknown) => void): void
  /** Lets go of the worker, which ends if it was this link's own. Idempotent. */
  close(): void
}

export interface CallOptions<M extends Method> {
  readonly signal?: AbortSignal | undefined
  readonly onItem?: ((item: Methods[M]['item']) => void) | undefined
  readonly transfer?: readonly Transferable[]
}

export interface Call<M extends Method> {
  readonly result: Promise<Methods[M]['result']>
  /**
   * Tells the worker, if `result` is still open. That rejects with a CancelledFault once the worker has answered, or with
   * a plain AbortError where it does not soon; what it still pushes is dropped.
   */
  readonly cancel: (reason?: unknown) => void
}

/** How long a worker that is busy may take to answer a cancellation. */
const answerMs = 500

/** How long a worker may take to let go of its engine. One that is busy for ever, in a template for one, never does. */
const disposeMs = 5000

const noMemory: Memory = { weights: 0, states: 0, arena: 0, step: 0, readback: 0 }

export class Connection {
  /** As of the worker's last message. */
  memory: Memory = noMemory
  /** What computes since the last recovery that was told of; undefined before the first. */
  adapter: AdapterInfo | undefined
  readonly #link: WorkerLink
  readonly #port: MessagePort
  readonly #host: Remote<HostApi>
  /** Ends each open call; calls stay open until the worker has answered, cancelled ones too. */
  readonly #open = new Set<(fault: RuntimeFault) => void>()
  readonly #watch = new AbortController()
  #lock: HeldLock | undefined
  #failure: RuntimeFault | undefined

  constructor(link: WorkerLink, locks: Locks | undefined, onEvent?: (event: EngineMessage['event']) => void) {
    this.#link = link
    const { port1, port2 } = new MessageChannel()
    this.#port = port1
    this.#host = wrap<HostApi>(port1)
    port1.addEventListener('message', ({ data }: MessageEvent<Welcome | EngineMessage>) => {
      if (data.type !== 'event') return this.#onWelcome(data, locks)
      this.adapter = data.adapter ?? this.adapter
      void tell(onEvent, data.event)
    })
    port1.start()
    link.onFailure((cause) => this.fail(workerFault('an error that it did not catch', cause)))
    this.#connect(port2, locks).catch((cause: unknown) =>
      this.fail(workerFault('no connection to it', cause)),
    )
  }

  /** Fires when the connection has ended, however it did. */
  get ended(): AbortSignal {
    return this.#watch.signal
  }

  get numOpen(): number {
    return this.#open.size
  }

  /** Throws nothing: a broken connection rejects the result. */
  call<M extends Method>(
    request: HostRequest,
    { signal, onItem, transfer: extra = [] }: CallOptions<M> = {},
  ): Call<M> {
    const { port1: port, port2 } = new MessageChannel()
    let settle: { resolve(value: Methods[M]['result']): void; reject(error: unknown): void }
    const result = new Promise<Methods[M]['result']>((resolve, reject) => (settle = { resolve, reject }))
    let isSettled = false
    let cancellation: { readonly reason: unknown; readonly timer: ReturnType<typeof setTimeout> } | undefined
    const end = (settleIt: () => void): void => {
      isSettled = true
      clearTimeout(cancellation?.timer)
      unlisten()
      settleIt()
    }
    const close = (): void => {
      this.#open.delete(fail)
      port.close()
    }
    const fail = (error: unknown): void => {
      close()
      end(() => settle.reject(error))
    }
    const tellWorker = (): void => port.postMessage({ type: 'cancel' } satisfies CancelMessage)
    const cancel = (reason?: unknown): void => {
      if (isSettled || cancellation !== undefined) return
      tellWorker()
      const timer = setTimeout(() => end(() => settle.reject(cancelled('request', reason))), answerMs)
      cancellation = { reason, timer }
    }
    const deliver = (item: Methods[M]['item']): void => {
      if (isSettled || cancellation !== undefined) return
      try {
        onItem?.(item)
      } catch (error) {
        tellWorker()
        end(() => settle.reject(error))
      }
    }
    port.addEventListener('message', ({ data }: MessageEvent<HostMessage<M>>) => {
      switch (data.type) {
        case 'item':
          return deliver(data.value)
        case 'memory':
          this.memory = data.memory
          return
        case 'done':
          if (cancellation !== undefined) return fail(cancelled('request', cancellation.reason))
          close()
          return end(() => settle.resolve(data.result))
        case 'failed': {
          const error = fromWireError(data.error)
          return fail(cancellation === undefined ? error : cancelledBy(cancellation.reason, error))
        }
        default:
          data satisfies never
      }
    })
    port.addEventListener('messageerror', () => fail(workerFault('an answer that cannot be read')))
    port.start()
    const unlisten = onAbort(signal, () => cancel(signal?.reason))
    this.#open.add(fail)
    if (this.#failure !== undefined) fail(this.#failure)
    else if (signal?.aborted === true) fail(cancelled('request', signal.reason))
    else {
      // Rejects only for what cannot be cloned.
      this.#host.start(transfer(request, [...extra]), transfer(port2, [port2])).catch((cause: unknown) => {
        fail(notCloneable(request.method, cause))
      })
    }
    return { result, cancel }
  }

  /**
   * Ends this client's requests with `fault` once the worker has let go of its engine, or has not within a few seconds:
   * closing the link then ends a worker of its own. Later calls get the fault at once.
   */
  async dispose(fault: RuntimeFault): Promise<void> {
    if (this.#failure !== undefined) return
    this.#failure = fault
    let timer: ReturnType<typeof setTimeout> | undefined
    const given = new Promise<undefined>((resolve) => {
      this.#watch.signal.addEventListener('abort', () => resolve(undefined))
      timer = setTimeout(() => resolve(undefined), disposeMs)
    })
    try {
      const reply = await Promise.race([this.#host.dispose(), given])
      this.memory = reply === undefined ? noMemory : unwrapReply(reply)
    } finally {
      clearTimeout(timer)
      this.#end(fault)
    }
  }

  /** Rejects everything that is open and everything later. */
  fail(fault: RuntimeFault): void {
    if (this.#watch.signal.aborted) return
    this.#failure ??= fault
    this.memory = noMemory
    // If there is still somebody to hear it.
    void this.#host.dispose()
    this.#end(fault)
  }

  #end(fault: RuntimeFault): void {
    this.#watch.abort()
    for (const fail of this.#open) fail(fault)
    this.#port.close()
    this.#lock?.release()
    this.#link.close()
  }

  async #connect(port: MessagePort, locks: Locks | undefined): Promise<void> {
    // Held before the worker hears of it: else it would get the lock itself.
    this.#lock = locks && (await holdLock(locks))
    if (this.#watch.signal.aborted) return this.#lock?.release()
    const message: Connect = {
      type: 'tabhopper/connect',
      version: protocolVersion,
      clientLock: this.#lock?.name,
      port,
    }
    this.#link.postMessage(message, [port])
  }

  #onWelcome(message: Welcome, locks: Locks | undefined): void {
    if (message.type === 'refused') this.fail(versionFault(message.version))
    if (message.type !== 'accepted' || message.hostLock === undefined || locks === undefined) return
    void holderGone(locks, message.hostLock, this.#watch.signal).then(() => this.fail(workerFault('its end')))
  }
}

/** What a cancelled request rejects with, of what the worker says. */
function cancelledBy(reason: unknown, error: unknown): RuntimeFault {
  return error instanceof CancelledFault
    ? new CancelledFault(error.usage, error.timings, reason)
    : cancelled('request', reason)
}

function workerFault(got: string, cause?: unknown): RuntimeFault {
  return new RuntimeFault('worker/failed', {
    where: 'worker',
    expected: 'a worker that runs',
    got: cause instanceof Error ? `${got}: ${cause.message}` : got,
    fix: 'Create a new engine; with worker: false the engine runs in the page.',
    cause,
  })
}

function versionFault(version: number): RuntimeFault {
  return new RuntimeFault('worker/protocol', {
    where: 'worker',
    expected: `protocol version ${protocolVersion}`,
    got: String(version),
    fix: 'Close the other tabs of this site, or load page and worker from the same build.',
  })
}

function notCloneable(where: string, cause: unknown): RuntimeFault {
  return new RuntimeFault('engine/input', {
    where,
    expected: 'plain data',
    got: String(cause),
    fix: 'Pass no functions or class instances, or create the engine with worker: false.',
    cause,
  })
}
