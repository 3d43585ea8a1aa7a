// A model as the chat page sees it: something that answers conversations.

import { openEngine, type LoadOptions, type ModelChoice, type PageEngine } from '../shared/engine.ts'
import type { ChatTurn } from './context.ts'
import type { Sampling } from './settings.ts'

interface AnswerRequest {
  readonly messages: readonly ChatTurn[]
  readonly sampling: Sampling & { readonly seed: number }
  readonly signal: AbortSignal
}

export interface AnswerEnd {
  readonly reason: 'stop' | 'length' | 'cancelled'
  readonly promptTokens: number
  readonly tokens: number
  readonly firstTokenMs: number
  readonly tokensPerSecond: number | undefined
}

export interface ChatEngine extends PageEngine {
  /** Pieces of text; the last one has `end`. */
  answer(request: AnswerRequest): AsyncGenerator<{ readonly text: string; readonly end?: AnswerEnd }>
}

/** Throws the faults of createEngine. */
export async function loadEngine(choice: ModelChoice, options: LoadOptions): Promise<ChatEngine> {
  const { engine, common } = await openEngine(choice, options)
  return {
    ...common,
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
      for await (const { choices, usage, timings } of stream) {
        reason = choices[0]?.finish_reason ?? reason
        if (usage === undefined || timings === undefined) {
          yield { text: choices[0]?.delta.content ?? '' }
          continue
        }
        const end = {
          reason,
          promptTokens: usage.prompt_tokens,
          tokens: usage.completion_tokens,
          firstTokenMs: timings.ttftMs,
          tokensPerSecond: timings.decodeTokensPerSecond,
        }
        yield { text: '', end }
      }
    },
  }
}
