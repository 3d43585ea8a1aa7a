// A model as the chat page sees it: something that answers conversations.

import {
  CancelledFault,
  openEngine,
  type LoadOptions,
  type ModelChoice,
  type PageEngine,
  type Timings,
  type Usage,
} from '../shared/engine.ts'
import type { ChatTurn } from './context.ts'
import type { Sampling } from './settings.ts'

interface AnswerRequest {
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

export interface ChatEngine extends PageEngine {
  /** Tokens of a prompt made of these messages. */
  countTokens(messages: readonly ChatTurn[], signal: AbortSignal): Promise<number>
  /** Pieces of text; the last one has `end`, also that of an answer whose signal was aborted. */
  answer(request: AnswerRequest): AsyncGenerator<{ readonly text: string; readonly end?: AnswerEnd }>
}

/** Throws the faults of createEngine. */
export async function loadEngine(choice: ModelChoice, options: LoadOptions): Promise<ChatEngine> {
  const { engine, common } = await openEngine(choice, options)
  return {
    ...common,
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
