// The shape of the browser's built-in Prompt API over an engine: `LanguageModel.availability()` and `.create()`.
// Not here: what a session does (promptSession.ts), and loading once for all (promptDownload.ts).

import {
  shareEngine,
  startMonitor,
  type Availability,
  type CreateMonitor,
  type EngineSource,
} from './promptDownload.ts'
import { notSupported, unlessAborted } from './promptErrors.ts'
import { toChatMessages, unsupportedOf, type Expectations, type PromptMessage } from './promptInput.ts'
import { LanguageModelSession } from './promptSession.ts'

export type { Availability, CreateMonitor, DownloadProgressEvent, EngineSource } from './promptDownload.ts'
export type {
  Expectations,
  ExpectedContent,
  PromptContent,
  PromptInput,
  PromptMessage,
} from './promptInput.ts'
export type { LanguageModelSession, PromptOptions } from './promptSession.ts'

const temperatures = {
  'most-predictable': 0,
  predictable: 0.4,
  balanced: 0.7,
  creative: 1,
  'most-creative': 1.3,
}

/** Temperatures by name: 0, 0.4, 0.7, 1 and 1.3. */
export type SamplingMode = keyof typeof temperatures

export interface CreateOptions extends Expectations {
  /** Never dropped from the context. A system message comes first or not at all. */
  initialPrompts?: readonly PromptMessage[]
  /** 0 is greedy. */
  temperature?: number
  /** Draw among this many of the likeliest tokens, at least 1. Default: all. */
  topK?: number
  /** A temperature by name; not together with `temperature` or `topK`. Default balanced. */
  samplingMode?: SamplingMode
  /** Given the object that fires `downloadprogress`. */
  monitor?: (monitor: CreateMonitor) => void
  /** Ends the creation; once there is a session, destroys it. */
  signal?: AbortSignal
}

/** The class side of a `LanguageModel`. */
export interface LanguageModelStatic {
  /** Whether a session could be had, and whether its model is there. Never rejects. */
  availability(options?: Expectations): Promise<Availability>
  /**
   * A session. Rejects with NotSupportedError for tools and what is not text, TypeError, SyntaxError and RangeError for
   * malformed options, QuotaExceededError if the initial prompts exceed the context, OperationError if loading fails.
   */
  create(options?: CreateOptions): Promise<LanguageModelSession>
  /** `session instanceof LanguageModel` holds. */
  [Symbol.hasInstance](value: unknown): boolean
}

/** A stand-in for the global `LanguageModel`. Its sessions share the engine, which is never disposed here. */
export function createLanguageModel(source: EngineSource): LanguageModelStatic {
  const shared = shareEngine(source)
  return {
    async availability(options = {}) {
      return unsupportedOf(options) === undefined ? shared.availability() : 'unavailable'
    },

    async create(options = {}) {
      const { initialPrompts = [], monitor, signal } = options
      signal?.throwIfAborted()
      const unsupported = unsupportedOf(options)
      if (unsupported !== undefined) throw notSupported(unsupported)
      const messages = initialPrompts.length === 0 ? [] : toChatMessages(initialPrompts, false)
      const sampling = samplingOf(options)
      const report = monitor === undefined ? () => undefined : startMonitor(monitor, signal)
      const engine = await unlessAborted(shared.load(report), signal)
      const topK = Math.min(sampling.topK, engine.vocabSize)
      return LanguageModelSession.start({ ...sampling, engine, topK }, messages, signal)
    },

    [Symbol.hasInstance]: (value) => value instanceof LanguageModelSession,
  }
}

/**
 * Puts a `LanguageModel` on the global object, and says whether it did: a browser's own stays unless `replace` is set.
 */
export function installPromptApi(
  source: EngineSource,
  { replace = false }: { replace?: boolean } = {},
): boolean {
  if ('LanguageModel' in globalThis && !replace) return false
  const value = createLanguageModel(source)
  Object.defineProperty(globalThis, 'LanguageModel', { value, configurable: true, writable: true })
  return true
}

function samplingOf({ temperature, topK = Infinity, samplingMode }: CreateOptions): {
  temperature: number
  topK: number
  samplingMode: SamplingMode
} {
  const mode = samplingMode ?? 'balanced'
  if (!Object.hasOwn(temperatures, mode)) throw new TypeError(`samplingMode: not ${mode}.`)
  if (samplingMode !== undefined && (temperature !== undefined || topK !== Infinity)) {
    throw new TypeError('samplingMode comes without temperature and topK.')
  }
  const value = temperature ?? temperatures[mode]
  if (!(value >= 0 && value < Infinity)) throw new RangeError('temperature is finite and at least 0.')
  if (!(topK >= 1)) throw new RangeError('topK is at least 1.')
  return { temperature: value, topK: Math.floor(topK), samplingMode: mode }
}
