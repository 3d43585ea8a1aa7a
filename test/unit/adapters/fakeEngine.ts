// An engine for adapters: a word is a token. It keeps the requests it gets, and answers each with the next of its
// answers, word by word; it can pause or fail before a word. The context is real: too long a prompt is refused.

import { completions } from '../../../src/api/completions.ts'
import type {
  ChatCompletion,
  ChatCompletionChunk,
  ChatCompletionRequest,
  ChatMessage,
  Engine,
  RequestMessage,
  Timings,
  Usage,
} from '../../../src/api/types.ts'
import { RuntimeFault, throwIfCancelled } from '../../../src/core/errors.ts'
import { createNullEngine } from '../../helpers/nullEngine.ts'

export interface FakeEngineOptions {
  /** The words of each answer; the last is given again. */
  readonly answers?: readonly (readonly string[])[]
  readonly maxSeqLen?: number
  /** Awaited before each word. */
  readonly beforeWord?: (index: number) => unknown
}

export interface FakeEngine extends Engine {
  readonly requests: readonly ChatCompletionRequest[]
  readonly numRunning: number
}

export const timings: Timings = {
  ttftMs: 5,
  tpotMs: 2,
  prefillTokensPerSecond: 400,
  decodeTokensPerSecond: 500,
}

const head = { id: 'chatcmpl-7', created: 1_750_000_000, model: 'fake' } as const

export const numWords = (text: string): number => text.split(/\s+/).filter((word) => word !== '').length

// Adapters send text alone.
const numTokensOf = (messages: readonly RequestMessage[]): number =>
  (messages as readonly ChatMessage[]).reduce((sum, { content }) => sum + 1 + numWords(content ?? ''), 0)

export function createFakeEngine({
  answers = [['Once', ' upon', ' a', ' time.']],
  maxSeqLen = 64,
  beforeWord = () => undefined,
}: FakeEngineOptions = {}): FakeEngine {
  const requests: ChatCompletionRequest[] = []
  let numRunning = 0
  let numAnswers = 0

  async function* stream(request: ChatCompletionRequest): AsyncGenerator<ChatCompletionChunk> {
    const object = 'chat.completion.chunk'
    const { signal, ...rest } = request
    requests.push(structuredClone(rest))
    const { messages, max_tokens: limit = Infinity } = rest
    yield { ...head, object, choices: [{ index: 0, delta: { role: 'assistant' }, finish_reason: null }] }
    const numPrompt = numTokensOf(messages)
    if (numPrompt > maxSeqLen) throw contextFault(numPrompt, maxSeqLen)
    const words = answers[Math.min(numAnswers++, answers.length - 1)] ?? []
    numRunning++
    try {
      for (const [index, word] of words.slice(0, limit).entries()) {
        await Promise.race([beforeWord(index), aborted(signal)])
        throwIfCancelled(signal, 'request')
        yield { ...head, object, choices: [{ index: 0, delta: { content: word }, finish_reason: null }] }
      }
    } finally {
      numRunning--
    }
    const numTokens = Math.min(words.length, limit)
    const reason = numTokens < words.length ? 'length' : 'stop'
    yield { ...head, object, choices: [{ index: 0, delta: {}, finish_reason: reason }] }
    const usage = {
      prompt_tokens: numPrompt,
      completion_tokens: numTokens,
      total_tokens: numPrompt + numTokens,
    }
    yield { ...head, object, choices: [], usage, timings }
  }

  async function whole(request: ChatCompletionRequest): Promise<ChatCompletion> {
    let content = ''
    let finish_reason: ChatCompletion['choices'][number]['finish_reason'] = 'stop'
    let usage: Usage = { prompt_tokens: 0, completion_tokens: 0, total_tokens: 0 }
    for await (const { choices, usage: last } of stream(request)) {
      content += choices[0]?.delta.content ?? ''
      finish_reason = choices[0]?.finish_reason ?? finish_reason
      usage = last ?? usage
    }
    const message = { role: 'assistant' as const, content }
    return {
      ...head,
      object: 'chat.completion',
      choices: [{ index: 0, message, finish_reason }],
      usage,
      timings,
    }
  }

  return {
    ...createNullEngine(),
    model: 'fake',
    maxSeqLen,
    vocabSize: 1000,
    chat: { completions: completions('chat', stream, whole) },
    countTokens: async (prompt) => (typeof prompt === 'string' ? numWords(prompt) : numTokensOf(prompt)),
    requests,
    get numRunning() {
      return numRunning
    },
  }
}

/** Resolves when the signal fires. */
const aborted = (signal: AbortSignal | undefined): Promise<void> =>
  new Promise((resolve) => signal?.addEventListener('abort', () => resolve(), { once: true }))

function contextFault(numTokens: number, maxSeqLen: number): RuntimeFault {
  return new RuntimeFault('engine/context', {
    where: 'prompt',
    expected: `1 to ${maxSeqLen} tokens`,
    got: String(numTokens),
    fix: 'Shorten the prompt.',
  })
}
