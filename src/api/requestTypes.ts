// Requests and answers, in OpenAI's shapes where OpenAI has one. Types only. Not here: engines and loads (types.ts).

import type { ChatMessage } from '../text/chatTemplate.ts'

/**
 * Why an answer ended: `stop` at the model's own end or a stop text, `length` at `max_tokens` or the end of the context.
 * One that its caller ends has no such reason: it rejects with a CancelledFault, which tells what was used.
 */
export type FinishReason = 'stop' | 'length'

/**
 * What all requests may say. Throws engine/input for what is out of range or of another type, for fields that there are
 * not, and for those of OpenAI's that would change an answer and are not supported; others of OpenAI's are ignored.
 */
export interface SamplingOptions {
  /** 0 is greedy. Default 0.7. */
  temperature?: number
  /** Draw among this many of the likeliest tokens. 0, the default, is all. */
  top_k?: number
  /** Draw among the fewest tokens whose probabilities reach this sum, 0 to 1. Default 1: all. */
  top_p?: number
  /** Draw among tokens with at least this share of the largest probability, 0 to 1. Default 0: all. */
  min_p?: number
  /** Above 1, makes tokens of prompt and answer less likely to come again, as in transformers. Default 1. */
  repetition_penalty?: number
  /** −2 to 2: taken from the logit of every token that the answer has. Default 0. */
  presence_penalty?: number
  /** −2 to 2: as presence_penalty, times how often the answer has the token. Default 0. */
  frequency_penalty?: number
  /** −100 to 100 by token id: added to its logit. At most 64 tokens. */
  logit_bias?: Readonly<Record<string | number, number>>
  /** Same seed, same text. Default: random. */
  seed?: number
  /** Most tokens to generate. Default: what the context leaves. */
  max_tokens?: number
  /** OpenAI's newer name of `max_tokens`. Both may be given if they are equal. */
  max_completion_tokens?: number
  /** Text at which to stop; not part of the answer. */
  stop?: string | readonly string[]
  /** Ends the request within one step, with a CancelledFault. */
  signal?: AbortSignal
}

/** A piece of a message. */
export interface TextPart {
  /** Other kinds are refused. */
  readonly type: 'text'
  /** The text itself. */
  readonly text: string
}

/** A message of a request, whose text may be in parts. */
export interface PartedMessage extends Omit<ChatMessage, 'content'> {
  /** Parts are joined without anything between. */
  readonly content: string | null | readonly TextPart[]
}

/** A message of a request that has calls of tools only. */
export interface ToolCallMessage extends Omit<ChatMessage, 'content'> {
  /** Left out is as null. */
  readonly content?: null
  /** In the shape that the template expects. */
  readonly tool_calls: readonly unknown[]
}

/** One turn of a request. */
export type RequestMessage = ChatMessage | PartedMessage | ToolCallMessage

/** A conversation to answer. Throws text/template where the model's template does not take it. */
export interface ChatCompletionRequest extends SamplingOptions {
  /** Oldest first. */
  messages: readonly RequestMessage[]
}

/** A text to go on with. */
export interface CompletionRequest extends SamplingOptions {
  /** Text, or token ids that are used as they are. */
  prompt: string | readonly number[]
}

/** Tokens of one request. */
export interface Usage {
  /** Of the prompt, with what the chat template adds. */
  prompt_tokens: number
  /** Generated, the one that ended the answer included. */
  completion_tokens: number
  /** Both. */
  total_tokens: number
}

/** Of one request; times in milliseconds from its submission. */
export interface Timings {
  /** To the first token, waiting and prefill included. */
  ttftMs: number
  /** (last token − first token) / (tokens − 1); undefined for fewer than two tokens. */
  tpotMs: number | undefined
  /** Tokens of the prompt by `ttftMs`. */
  prefillTokensPerSecond: number
  /** 1000 / `tpotMs`. */
  decodeTokensPerSecond: number | undefined
}

interface Envelope<O extends string> {
  /** Unique among the engine's requests; the same in all chunks of one. */
  id: string
  /** Which of the shapes this is. */
  object: O
  /** Unix seconds. */
  created: number
  /** The engine's name of it. */
  model: string
}

/** A whole answer to a conversation. */
export interface ChatCompletion extends Envelope<'chat.completion'> {
  /** One, with `index` 0. */
  choices: { index: number; message: { role: 'assistant'; content: string }; finish_reason: FinishReason }[]
  /** Tokens that it took. */
  usage: Usage
  /** Time that it took. */
  timings: Timings
}

/** A piece of a streamed answer. The first one has the role and no content. */
export interface ChatCompletionChunk extends Envelope<'chat.completion.chunk'> {
  /** One, with `index` 0; empty in the last chunk, which carries `usage` and `timings`. */
  choices: {
    index: number
    delta: { role?: 'assistant'; content?: string }
    finish_reason: FinishReason | null
  }[]
  /** In the last chunk only. */
  usage?: Usage
  /** In the last chunk only. */
  timings?: Timings
}

/** A whole continuation of a text. */
export interface Completion extends Envelope<'text_completion'> {
  /** One, with `index` 0. Stop texts are cut from `text`, not from `tokens`; without a tokenizer `text` is empty. */
  choices: { index: number; text: string; tokens: number[]; finish_reason: FinishReason }[]
  /** Tokens that it took. */
  usage: Usage
  /** Time that it took. */
  timings: Timings
}

/** A piece of a streamed continuation. */
export interface CompletionChunk extends Envelope<'text_completion'> {
  /** One, with `index` 0; empty in the last chunk, which carries `usage` and `timings`. */
  choices: { index: number; text: string; tokens: number[]; finish_reason: FinishReason | null }[]
  /** In the last chunk only. */
  usage?: Usage
  /** In the last chunk only. */
  timings?: Timings
}

/** One kind of request. Throws engine/*, text/* and device/* faults; an abort is a CancelledFault, an AbortError. */
export interface Completions<Request, Whole, Chunk> {
  /** Chunks as tokens come. The request begins with the first one asked for, and ends when its loop is left. */
  create(request: Request & { stream: true }): AsyncIterable<Chunk>
  /** The whole answer at once. */
  create(request: Request & { stream?: false }): Promise<Whole>
}
