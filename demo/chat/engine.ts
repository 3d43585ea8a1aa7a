// What the page uses of the library, and the only file that imports it.

import {
  CancelledFault,
  createEngine,
  type AdapterInfo,
  type CachedModel,
  type LoadProgress,
  type Timings,
  type Usage,
} from '../../src/index.ts'
import type { ChatTurn } from './context.ts'
import type { LoadReport } from './progress.ts'
import type { Sampling } from './settings.ts'

export { RuntimeFault } from '../../src/index.ts'
export type { AdapterInfo, CachedModel }

export type ModelChoice =
  | { readonly kind: 'embedded' }
  /** A hub id or an address. The token is not kept. */
  | { readonly kind: 'named'; readonly name: string; readonly token?: string | undefined }
  | { readonly kind: 'files'; readonly label: string; readonly files: readonly File[] }

export const embeddedModel = 'tiny-llama'

/** Relative to the page: beside the folder that it is in. */
const embeddedAddress = `../models/${embeddedModel}`

export const labelOf = (choice: ModelChoice): string => {
  switch (choice.kind) {
    case 'embedded':
      return embeddedModel
    case 'named':
      return labelOfName(choice.name)
    case 'files':
      return choice.label
    default:
      return choice satisfies never
  }
}

/** A hub id as it is; of an address the folder or the file. */
function labelOfName(name: string): string {
  if (!name.includes(':')) return name
  const path = name.replace(/[?#].*$/, '').replace(/\/+$/, '')
  return path.slice(path.lastIndexOf('/') + 1)
}

/** Answers at the same time, in different conversations. */
const maxNumSeqs = 4

export interface LoadOptions {
  readonly signal: AbortSignal
  readonly onProgress: (progress: LoadReport) => void
  readonly onNotice: (message: string) => void
}

export interface AnswerRequest {
  readonly messages: readonly ChatTurn[]
  readonly sampling: Sampling & { readonly seed: number }
  readonly signal: AbortSignal
}

export interface AnswerEnd {
  readonly reason: 'stop' | 'length' | 'stopped'
  readonly promptTokens: number
  readonly tokens: number
  readonly firstTokenMs: number | undefined
  readonly tokensPerSecond: number | undefined
}

export interface ChatEngine {
  readonly label: string
  readonly adapter: AdapterInfo
  readonly maxSeqLen: number
  /** Bytes on the device. */
  memoryBytes(): number
  /** Tokens of a prompt made of these messages. */
  countTokens(messages: readonly ChatTurn[], signal: AbortSignal): Promise<number>
  /** Pieces of text; the last one has `end`, also that of an answer whose signal was aborted. */
  answer(request: AnswerRequest): AsyncGenerator<{ readonly text: string; readonly end?: AnswerEnd }>
  /** Models from hubs and servers that this browser keeps. */
  keptModels(): Promise<CachedModel[]>
  deleteKept(model: string): Promise<number>
  dispose(): Promise<void>
}

/** Throws the faults of createEngine. */
export async function loadEngine(
  choice: ModelChoice,
  { signal, onProgress, onNotice }: LoadOptions,
): Promise<ChatEngine> {
  const engine = await createEngine({
    signal,
    onNotice,
    onProgress: (progress) => onProgress(reportOf(progress)),
    onEvent: ({ numSequences }) =>
      onNotice(`The graphics device was lost and is back${numSequences > 0 ? '; the answer goes on' : ''}.`),
    maxNumSeqs,
    model: sourceOf(choice),
    ...(choice.kind === 'named' && choice.token !== undefined && { token: choice.token }),
  })
  return {
    label: labelOf(choice),
    adapter: engine.adapter,
    maxSeqLen: engine.maxSeqLen,
    memoryBytes: () => Object.values(engine.memory()).reduce((sum, bytes) => sum + bytes, 0),
    keptModels: async () => (await engine.cache.list()).filter(({ model }) => model !== embeddedUrl()),
    deleteKept: (model) => engine.cache.delete(model),
    dispose: () => engine.dispose(),
    countTokens: (messages, signal) => engine.countTokens(messages, { signal }),
    async *answer({ messages, sampling, signal }) {
      const stream = engine.chat.completions.create({
        messages,
        stream: true,
        signal,
        temperature: sampling.temperature,
        top_p: sampling.topP,
        top_k: sampling.topK,
        min_p: sampling.minP,
        repetition_penalty: sampling.repetitionPenalty,
        max_tokens: sampling.maxTokens,
        seed: sampling.seed,
      })
      let reason: AnswerEnd['reason'] = 'stop'
      try {
        for await (const { choices, usage, timings } of stream) {
          reason = choices[0]?.finish_reason ?? reason
          if (usage === undefined) yield { text: choices[0]?.delta.content ?? '' }
          else yield { text: '', end: endOf(reason, usage, timings) }
        }
      } catch (error) {
        if (!(error instanceof CancelledFault)) throw error
        yield { text: '', end: endOf('stopped', error.usage, error.timings) }
      }
    },
  }
}

function endOf(reason: AnswerEnd['reason'], usage: Usage, timings: Timings | undefined): AnswerEnd {
  return {
    reason,
    promptTokens: usage.prompt_tokens,
    tokens: usage.completion_tokens,
    firstTokenMs: timings?.ttftMs,
    tokensPerSecond: timings?.decodeTokensPerSecond,
  }
}

function reportOf(progress: LoadProgress): LoadReport {
  if ('loadedBytes' in progress) {
    const { loadedBytes: done, totalBytes: total, ...rest } = progress
    return { ...rest, done, total }
  }
  return progress.phase === 'ready' ? { ...progress, done: 1, total: 1 } : progress
}

const embeddedUrl = (): string => new URL(embeddedAddress, document.baseURI).href

function sourceOf(choice: ModelChoice): string | readonly File[] {
  switch (choice.kind) {
    case 'embedded':
      return embeddedAddress
    case 'named':
      return choice.name
    case 'files':
      return choice.files
    default:
      return choice satisfies never
  }
}
