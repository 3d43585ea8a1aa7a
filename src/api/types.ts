// The public types of the library: engines, how they are loaded, and what they take and give. Types only.

import type { AdapterInfo, BufferOwner, LostInfo, SubgroupMatrix } from '../device/device.ts'
import type { FileStore } from '../core/files.ts'
import type { FloatDType } from '../graph/opDef.ts'
import type { ChatMessage } from '../text/chatTemplate.ts'
import type { CachedFile, CachedModel, ModelCache } from '../weights/remote/modelCache.ts'
import type { EngineInspector } from './inspector.ts'
import type {
  ChatCompletion,
  ChatCompletionChunk,
  ChatCompletionRequest,
  Completion,
  CompletionChunk,
  CompletionRequest,
  Completions,
  RequestMessage,
} from './requestTypes.ts'
import type { TransferProgress } from '../weights/remote/transferMeter.ts'

export type { AdapterInfo, BufferOwner, ChatMessage, FloatDType, LostInfo, SubgroupMatrix }
export type * from './requestTypes.ts'
export type { EngineInspector, ProfileOptions, StepProfile } from './inspector.ts'
export type {
  BufferInspection,
  DispatchInspection,
  ModelInspection,
  PlanInspection,
} from '../engine/inspection.ts'
export type { CacheState, SequenceState } from '../engine/llm/cacheState.ts'
export type { KernelTime } from '../engine/kernelTimes.ts'
export type {
  BindingDocument,
  DimDocument,
  DispatchDocument,
  GraphDocument,
  OpDocument,
  PlanBufferDocument,
  PlanDocument,
  StateDocument,
  StepSize,
  ValueDocument,
} from '../plan/document.ts'
export type { CachedFile, CachedModel, ModelCache, TransferProgress }

/**
 * What a load waits for. Phases come in this order, each once, except that files are verified one by one between
 * downloads; those without work are left out. Within a phase no number falls, and none passes its total.
 */
export type LoadProgress =
  | TransferProgress
  /** Weights go to the device. Not told of while a download goes on, as they are uploaded at the same time. */
  | { readonly phase: 'upload'; readonly loadedBytes: number; readonly totalBytes: number }
  /** Shaders are compiled from the start; told of once the weights are there, and begins with what is done by then. */
  | { readonly phase: 'compile'; readonly done: number; readonly total: number }
  /** Each kind of step runs once. */
  | { readonly phase: 'warm-up'; readonly done: number; readonly total: number }
  | { readonly phase: 'ready' }

/**
 * Where a model comes from: its name, hub id or URL; a folder behind a FileStore; or the files themselves, which are a
 * folder in the layout of Hugging Face or one .gguf file.
 */
export type ModelSource = string | FileStore | ArrayLike<File>

/** How a model is opened; all but `signal` and `onNotice` are of no effect on models that are at hand. */
export interface ModelOptions {
  /** Branch, tag or commit of a hub repository. Default main. */
  revision?: string
  /** For private and gated repositories, or a server that asks for one; sent to that server, and nowhere else. */
  token?: string
  /** False: nothing is read from the cache or kept in it. Default true. */
  cache?: boolean
  /** Ends the load with an AbortError; nothing stays allocated. */
  signal?: AbortSignal
  /**
   * Told what goes wrong and ends nothing, such as a cache on a full disk, weights that are not used, or messages that a
   * chat template leaves out. What it throws is shown as an error of the page, and ends nothing.
   */
  onNotice?: (message: string) => void
}

/**
 * How a model is loaded and run. Throws engine/input for what is out of range or of another type, and for options that
 * there are not; null is as left out.
 */
export interface EngineOptions {
  /** Of weights, activations and the KV cache. Default f16. */
  dtype?: FloatDType
  /**
   * Longest prompt and answer together; the answer's last token, which nothing follows, is not counted. Default: the
   * model's, at most 4096; with `dynamic` rope the length that it was trained for, since longer ones change what shorter
   * ones get.
   */
  maxSeqLen?: number
  /** Sequences that may run at once. Default 8. */
  maxNumSeqs?: number
  /** Tokens in one step; longer prompts are prefilled in chunks. Default 256. */
  maxNumBatchedTokens?: number
  /**
   * Bytes that the model may take on the device. Above that, options that were left open are made smaller (see
   * `Engine.shrunk`); if that is not enough, loading is refused before a weight is read. Default: what the device gives,
   * but in Node, where a software adapter computes in the host's memory, 80 % of what is available to the process.
   */
  maxMemory?: number
  /**
   * A token's logits are the same bits whatever else runs: alone or in a batch, decoded, or computed again in a prefill.
   * Then greedy and seeded answers never depend on other requests, preemption or recovery. Slower. Default false.
   */
  deterministic?: boolean
  /**
   * Tokens of a request that are read back from the device together, 1 to 64. More of them wait less often, which counts
   * where a wait is long, as in Firefox; they come in bursts, an answer that ends has computed up to twice as many tokens
   * in vain, and an abort takes as many steps. The tokens are the same. Default 1.
   */
  tokensPerReadback?: number
  /**
   * Runs a step of each kind before the engine is ready: what drivers put off until then would delay the first answer.
   * Default: true in browsers, false in Node.
   */
  warmUp?: boolean
  /** Ends the load with an AbortError; nothing stays allocated. */
  signal?: AbortSignal
  /** Told how far the load is. What it throws is shown as an error of the page, and ends nothing. */
  onProgress?: (progress: LoadProgress) => void
  /** Told what happens to the engine while it lives. What it throws is shown as an error of the page, and ends nothing. */
  onEvent?: (event: EngineEvent) => void
}

/** The device was lost, and the engine goes on with another one: running requests continue where they were. */
export interface RecoveredEvent {
  /** Tells it from events that may come to be. */
  type: 'recovered'
  /** What the losses looked like; more than one where the new device was lost while the model was being loaded. */
  losses: readonly LostInfo[]
  /** From noticing to being ready to compute. */
  durationMs: number
  /** Requests that were being computed. */
  numSequences: number
}

/** What may happen while an engine lives. */
export type EngineEvent = RecoveredEvent

/** Logits as numbers of the host. */
export interface LogitsResult {
  /** One row of `vocabSize` numbers for each token. */
  logits: (Float32Array | Float64Array)[]
}

/** An option that was made smaller so that the model fits. */
export interface Shrunk {
  /** `kvCacheTokens`: tokens of all running requests together. */
  option: 'kvCacheTokens' | 'maxSeqLen' | 'maxNumBatchedTokens'
  /** In tokens: what was given, or the default. */
  asked: number
  /** In tokens. */
  used: number
  /** What it had to fit: the option, the share of the host's free memory, or the largest binding of the adapter. */
  limit: 'maxMemory' | 'freeMemory' | 'binding'
}

/** A loaded model. Every call is isolated; calls share steps. */
export interface Engine extends AsyncDisposable {
  /** Name of the folder, file or repository. */
  readonly model: string
  /** What computes. Not the same for ever: a recovery may find another one. */
  readonly adapter: AdapterInfo
  /** Of weights, activations and the KV cache. */
  readonly dtype: FloatDType
  /** Token ids are below this. */
  readonly vocabSize: number
  /** Most tokens of prompt and answer together; the answer's last one is not counted. */
  readonly maxSeqLen: number
  /** As OpenAI's client has it. */
  readonly chat: {
    /** Answers to conversations. */
    readonly completions: Completions<ChatCompletionRequest, ChatCompletion, ChatCompletionChunk>
  }
  /** Continuations of texts and token ids. */
  readonly completions: Completions<CompletionRequest, Completion, CompletionChunk>
  /**
   * Tokens of a prompt as a request would have it: a text with what the tokenizer puts around it, or a conversation with
   * what its template adds, the opening of the answer included. Computes nothing; longer than the context is no error.
   */
  countTokens(prompt: string | readonly RequestMessage[], options?: { signal?: AbortSignal }): Promise<number>
  /**
   * Logits of every position of a token sequence, on an empty cache of its own. Calls take turns. Throws engine/memory where
   * that exceeds `maxMemory`, device/memory where the device has no room for it.
   */
  logits(tokens: readonly number[], options?: { signal?: AbortSignal }): Promise<LogitsResult>
  /** Bytes on the device by owner. */
  memory(): Readonly<Record<BufferOwner, number>>
  /** What was compiled, who holds the KV cache, where GPU time goes. */
  readonly inspect: EngineInspector
  /** Models that were loaded from hubs and servers, this one or others, and are kept for the next time. */
  readonly cache: ModelCache
  /** What was made smaller than asked; empty where nothing was. */
  readonly shrunk: readonly Shrunk[]
  /** Ends running requests and frees everything. A worker that is too busy to answer is given five seconds. Idempotent. */
  dispose(): Promise<void>
}
