// What page and worker say to each other. Types only, besides the version; raise it with every change that an older
// side would misread. A client connects once, then makes one call over comlink for each request; the answers to a
// request are pushed on a MessagePort of its own. Next: client.ts and host.ts.

import type {
  AdapterInfo,
  BufferOwner,
  CacheState,
  ChatCompletion,
  ChatCompletionChunk,
  ChatCompletionRequest,
  Completion,
  CompletionChunk,
  CompletionRequest,
  Engine,
  EngineEvent,
  EngineOptions,
  LoadProgress,
  LogitsResult,
  ModelInspection,
  ModelOptions,
  ProfileOptions,
  RequestMessage,
  StepProfile,
  Timings,
  Usage,
} from '../api/types.ts'
import type { FaultCode } from '../core/errors.ts'

export const protocolVersion = 4

/** First message to a worker. */
export interface Connect {
  readonly type: 'tabhopper/connect'
  readonly version: number
  /** Web Lock that the client holds as long as it lives; absent where there are no locks. */
  readonly clientLock: string | undefined
  /** Everything else goes through this port. */
  readonly port: MessagePort
}

/** The answer on the client's port. */
export type Welcome =
  | {
      readonly type: 'accepted'
      /** Web Lock that the worker holds as long as it lives. */
      readonly hostLock: string | undefined
    }
  | { readonly type: 'refused'; readonly version: number }

/** Pushed on the client's port as long as its engine lives. */
export interface EngineMessage {
  readonly type: 'event'
  readonly event: EngineEvent | NoticeEvent
  /** What computes from here on; undefined while the engine is being loaded, whose result has it. */
  readonly adapter: AdapterInfo | undefined
}

/** What a worker offers over comlink; nothing here throws. */
export interface HostApi {
  /** Answers on `port` with `HostMessage`s, of which the last is `done` or `failed`; listens there for `cancel`. */
  start(request: HostRequest, port: MessagePort): void
  /** Ends the client's requests and lets go of its engine; resolves with what that still holds. */
  dispose(): Promise<Reply<Memory>>
}

export type Memory = Readonly<Record<BufferOwner, number>>

/** By method: what is sent, what is pushed before the end, and what comes at the end. */
export interface Methods {
  load: { params: LoadParams; item: LoadEvent; result: EngineInfo }
  chat: { params: Streamable<ChatCompletionRequest>; item: ChatCompletionChunk; result?: ChatCompletion }
  completion: { params: Streamable<CompletionRequest>; item: CompletionChunk; result?: Completion }
  inspectModel: { params: undefined; item: never; result: ModelInspection }
  kvCache: { params: undefined; item: never; result: CacheState }
  profile: { params: Plain<ProfileOptions>; item: never; result: StepProfile[] }
  countTokens: {
    params: { readonly prompt: string | readonly RequestMessage[] }
    item: never
    result: number
  }
  logits: { params: { readonly tokens: readonly number[] }; item: never; result: LogitsResult }
}

export type Method = keyof Methods

export type HostRequest<M extends Method = Method> = {
  readonly [K in M]: { readonly method: K; readonly params: Methods[K]['params'] }
}[M]

/** What can be cloned of a request: a signal crosses as `cancel`, what callbacks are told as items. */
export type Plain<T> = Omit<T, 'signal' | 'onProgress' | 'onNotice' | 'onEvent'>

/** Streams push chunks and end without a result, others do the reverse. */
export type Streamable<T> = Plain<T> & { readonly stream: boolean }

export interface LoadParams {
  readonly model: WireModel
  readonly options: Plain<LoadOptions>
}

export type LoadOptions = EngineOptions & ModelOptions

export type LoadEvent = { readonly type: 'progress'; readonly progress: LoadProgress } | NoticeEvent

/** While loading, or later. */
interface NoticeEvent {
  readonly type: 'notice'
  readonly message: string
}

export type WireModel =
  | { readonly kind: 'id'; readonly id: string }
  | { readonly kind: 'files'; readonly files: readonly WireBlob[] }
  /**
   * A store that stays with the client: its files are read through the port, a `StoreApi` over comlink, while loading and
   * whenever the engine loads again.
   */
  | { readonly kind: 'store'; readonly name: string; readonly port: MessagePort }

/** A File: what else it says of itself is not cloned everywhere. */
export interface WireBlob {
  readonly path: string
  readonly lastModified: number
  readonly blob: Blob
}

/** What an engine is, without what it does. */
export type EngineInfo = Omit<
  Engine,
  | 'chat'
  | 'completions'
  | 'countTokens'
  | 'logits'
  | 'memory'
  | 'inspect'
  | 'cache'
  | 'dispose'
  | typeof Symbol.asyncDispose
>

export type HostMessage<M extends Method = Method> =
  | { readonly type: 'item'; readonly value: Methods[M]['item'] }
  /** Whenever it has changed since the last message. */
  | { readonly type: 'memory'; readonly memory: Memory }
  | { readonly type: 'done'; readonly result: Methods[M]['result'] }
  | { readonly type: 'failed'; readonly error: WireError }

/** Ends a request, which still answers with `done` or `failed`. */
export interface CancelMessage {
  readonly type: 'cancel'
}

/** A client's files. Nothing here throws. */
export interface StoreApi {
  open(path: string): Promise<Reply<WireFile | undefined>>
  read(file: number, offset: number, length: number): Promise<Reply<Uint8Array>>
  close(file: number): Promise<Reply<undefined>>
}

export interface WireFile {
  readonly file: number
  readonly name: string
  /** Bytes. */
  readonly size: number
}

export type Reply<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly error: WireError }

export type WireError =
  | { readonly kind: 'value'; readonly value: string | number | boolean | null | undefined }
  | {
      readonly kind: 'error'
      readonly name: string
      readonly message: string
      readonly stack: string | undefined
      /** Of a RuntimeFault. */
      readonly fault: { readonly code: FaultCode; readonly where: string } | undefined
      /** Of a CancelledFault. */
      readonly used: { readonly usage: Usage; readonly timings: Timings | undefined } | undefined
      readonly cause: WireError | undefined
    }
