// An engine as a language model of the Vercel AI SDK, specification v4. Types of the SDK only, none of its code.
// Not here: what becomes of a prompt (aiSdkPrompt.ts). Tools and structured output are answered with warnings.

import type {
  LanguageModelV4,
  LanguageModelV4CallOptions,
  LanguageModelV4FinishReason,
  LanguageModelV4StreamPart,
  LanguageModelV4Usage,
  SharedV4Warning,
} from '@ai-sdk/provider'
import type { ChatCompletionRequest, Engine, FinishReason, Timings, Usage } from '../api/types.ts'
import { toChatMessages } from './aiSdkPrompt.ts'

/** What the SDK is told of a model. */
export interface TabhopperModelOptions {
  /** How the model is called in the SDK's results. Default: the engine's name of it. */
  modelId?: string
}

/**
 * A model for `generateText`, `streamText` and whatever else takes one. It uses the engine and never disposes it.
 * Parts of prompts other than text are refused with an UnsupportedFunctionalityError.
 */
export function tabhopper(
  engine: Engine,
  { modelId = engine.model }: TabhopperModelOptions = {},
): LanguageModelV4 {
  const metadata = (id: string, created: number): { id: string; timestamp: Date; modelId: string } => ({
    id,
    timestamp: new Date(created * 1000),
    modelId,
  })

  async function* parts(
    { request, warnings }: Call,
    includeRawChunks: boolean,
  ): AsyncGenerator<LanguageModelV4StreamPart, void, undefined> {
    const id = 'text-0'
    let isOpen = false
    let finishReason = toFinishReason(undefined)
    let numChunks = 0
    yield { type: 'stream-start', warnings }
    try {
      for await (const chunk of engine.chat.completions.create({ ...request, stream: true })) {
        if (includeRawChunks) yield { type: 'raw', rawValue: chunk }
        if (numChunks++ === 0) yield { type: 'response-metadata', ...metadata(chunk.id, chunk.created) }
        const [choice] = chunk.choices
        const delta = choice?.delta.content ?? ''
        if (delta !== '') {
          if (!isOpen) yield { type: 'text-start', id }
          isOpen = true
          yield { type: 'text-delta', id, delta }
        }
        const reason = choice?.finish_reason ?? undefined
        if (reason !== undefined) finishReason = toFinishReason(reason)
        if (chunk.usage === undefined) continue
        if (isOpen) yield { type: 'text-end', id }
        yield { type: 'finish', finishReason, usage: toUsage(chunk.usage), ...timed(chunk.timings) }
      }
    } catch (error) {
      // The SDK knows an abort by the stream's own failure, and everything else by a part.
      if (request.signal?.aborted === true) throw error
      yield { type: 'error', error }
      if (isOpen) yield { type: 'text-end', id }
      yield { type: 'finish', finishReason: { unified: 'error', raw: undefined }, usage: toUsage(undefined) }
    }
  }

  return {
    specificationVersion: 'v4',
    provider: 'tabhopper',
    modelId,
    supportedUrls: {},

    async doGenerate(options) {
      const { request, warnings } = toCall(options)
      const { id, created, choices, usage, timings } = await engine.chat.completions.create(request)
      const [choice] = choices
      const text = choice?.message.content ?? ''
      return {
        content: text === '' ? [] : [{ type: 'text', text }],
        finishReason: toFinishReason(choice?.finish_reason),
        usage: toUsage(usage),
        response: metadata(id, created),
        warnings,
        ...timed(timings),
      }
    },

    async doStream(options) {
      const { request, warnings } = toCall(options)
      const left = new AbortController()
      const signals = [left.signal, ...(request.signal === undefined ? [] : [request.signal])]
      const call = { request: { ...request, signal: AbortSignal.any(signals) }, warnings }
      const values = parts(call, options.includeRawChunks === true)
      const stream = new ReadableStream<LanguageModelV4StreamPart>(
        {
          async pull(controller) {
            const { done, value } = await values.next()
            if (done === true) controller.close()
            else controller.enqueue(value)
          },
          async cancel(reason) {
            // Ends the request even while its next token is being waited for.
            left.abort(reason)
            await values.return()
          },
        },
        { highWaterMark: 0 },
      )
      return { stream }
    },
  }
}

interface Call {
  readonly request: ChatCompletionRequest
  readonly warnings: SharedV4Warning[]
}

function toCall(options: LanguageModelV4CallOptions): Call {
  const { messages, warnings } = toChatMessages(options.prompt)
  const warn = (feature: string, details: string): void => {
    warnings.push({ type: 'unsupported', feature, details })
  }
  if ((options.tools ?? []).length > 0) warn('tools', 'The model is not told about the tools and calls none.')
  if (options.responseFormat?.type === 'json') warn('responseFormat', 'Answers are plain text.')
  if (!['provider-default', 'none'].includes(options.reasoning ?? 'none')) {
    warn('reasoning', 'The effort cannot be set.')
  }
  const request = withoutUndefined({
    messages,
    max_tokens: options.maxOutputTokens,
    temperature: options.temperature,
    top_p: options.topP,
    top_k: options.topK,
    presence_penalty: options.presencePenalty,
    frequency_penalty: options.frequencyPenalty,
    stop: options.stopSequences,
    seed: options.seed,
    signal: options.abortSignal,
  })
  return { request: { ...request, messages }, warnings }
}

function withoutUndefined<T extends object>(values: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  const entries = Object.entries(values).filter(([, value]) => value !== undefined)
  return Object.fromEntries(entries) as { [K in keyof T]?: Exclude<T[K], undefined> }
}

/** Without a reason the answer broke off. */
function toFinishReason(raw: FinishReason | undefined): LanguageModelV4FinishReason {
  return { unified: raw ?? 'interrupted', raw }
}

function toUsage(usage: Usage | undefined): LanguageModelV4Usage {
  const output = usage?.completion_tokens
  return {
    inputTokens: {
      total: usage?.prompt_tokens,
      noCache: undefined,
      cacheRead: undefined,
      cacheWrite: undefined,
    },
    outputTokens: { total: output, text: output, reasoning: undefined },
    ...(usage !== undefined && { raw: { ...usage } }),
  }
}

/** The engine's timings, under `providerMetadata.tabhopper`. */
function timed(timings: Timings | undefined): {
  providerMetadata?: { tabhopper: { [K in keyof Timings]: number | undefined } }
} {
  return timings === undefined ? {} : { providerMetadata: { tabhopper: { ...timings } } }
}
