// The facade: an LlmEngine and a tokenizer behind OpenAI's shapes. Not here: loading (model.ts) and platforms.

import type { LlmEngine } from '../engine/llm/llmEngine.ts'
import { blockSize } from '../engine/load.ts'
import { invariant, throwIfCancelled } from '../core/errors.ts'
import { emptyCache, type ModelCache } from '../weights/remote/modelCache.ts'
import type { Tokenizer } from '../text/tokenizer.ts'
import { completions } from './completions.ts'
import { generatePieces, type Piece } from './generation.ts'
import { createInspector } from './inspector.ts'
import { LeftOut } from './leftOut.ts'
import { checkTokens, encodeMessages, encodePrompt } from './prompts.ts'
import type {
  ChatCompletion,
  ChatCompletionChunk,
  ChatCompletionRequest,
  Completion,
  CompletionChunk,
  CompletionRequest,
  Engine,
  SamplingOptions,
} from './types.ts'

export interface EngineParts {
  readonly model: string
  readonly llm: LlmEngine
  readonly tokenizer: Tokenizer | undefined
  /** Whether dispose() also disposes the device. */
  readonly ownsDevice: boolean
  /** Default: one that is always empty. */
  readonly cache?: ModelCache | undefined
  readonly onNotice?: ((message: string) => void) | undefined
}

export function createEngineFacade(parts: EngineParts): Engine {
  const { model, llm, tokenizer, ownsDevice, cache } = parts
  const { options, config } = llm
  const leftOut = new LeftOut(parts.onNotice)
  let nextId = 0
  const envelope = <O extends string>(
    prefix: string,
    object: O,
  ): { id: string; object: O; created: number; model: string } => ({
    id: `${prefix}-${nextId++}`,
    object,
    created: Math.floor(Date.now() / 1000),
    model,
  })
  const pieces = (
    promptTokens: readonly number[],
    request: SamplingOptions,
  ): AsyncGenerator<Piece, void, undefined> => generatePieces(llm, tokenizer, promptTokens, request)

  async function* streamChat(request: ChatCompletionRequest): AsyncGenerator<ChatCompletionChunk> {
    const head = envelope('chatcmpl', 'chat.completion.chunk')
    const promptTokens = encodeMessages(tokenizer, request.messages, leftOut)
    yield { ...head, choices: [{ index: 0, delta: { role: 'assistant' }, finish_reason: null }] }
    for await (const { text, finish } of pieces(promptTokens, request)) {
      if (text !== '')
        yield { ...head, choices: [{ index: 0, delta: { content: text }, finish_reason: null }] }
      if (finish === undefined) continue
      yield { ...head, choices: [{ index: 0, delta: {}, finish_reason: finish.reason }] }
      yield { ...head, choices: [], usage: finish.usage, timings: finish.timings }
    }
  }

  async function wholeChat(request: ChatCompletionRequest): Promise<ChatCompletion> {
    const { text, finish } = await collect(
      pieces(encodeMessages(tokenizer, request.messages, leftOut), request),
    )
    const message = { role: 'assistant' as const, content: text }
    return {
      ...envelope('chatcmpl', 'chat.completion'),
      choices: [{ index: 0, message, finish_reason: finish.reason }],
      usage: finish.usage,
      timings: finish.timings,
    }
  }

  async function* streamText(request: CompletionRequest): AsyncGenerator<CompletionChunk> {
    const head = envelope('cmpl', 'text_completion')
    for await (const { text, tokens, finish } of pieces(encodePrompt(tokenizer, request.prompt), request)) {
      const choice = { index: 0, text, tokens: [...tokens], finish_reason: finish?.reason ?? null }
      yield { ...head, choices: [choice] }
      if (finish !== undefined) yield { ...head, choices: [], usage: finish.usage, timings: finish.timings }
    }
  }

  async function wholeText(request: CompletionRequest): Promise<Completion> {
    const { text, tokens, finish } = await collect(pieces(encodePrompt(tokenizer, request.prompt), request))
    return {
      ...envelope('cmpl', 'text_completion'),
      choices: [{ index: 0, text, tokens, finish_reason: finish.reason }],
      usage: finish.usage,
      timings: finish.timings,
    }
  }

  async function dispose(): Promise<void> {
    await llm.dispose()
    if (ownsDevice) llm.device.dispose()
  }

  return {
    model,
    // Not of the first device alone: a recovery may have made another.
    get adapter() {
      return llm.device.adapter
    },
    dtype: options.dtype,
    vocabSize: config.vocabSize,
    maxSeqLen: options.maxSeqLen,
    chat: { completions: completions('chat', streamChat, wholeChat) },
    completions: completions('text', streamText, wholeText),
    async countTokens(prompt, { signal } = {}) {
      llm.checkLive()
      throwIfCancelled(signal ?? undefined, 'tokens')
      const tokens =
        typeof prompt === 'string'
          ? encodePrompt(tokenizer, prompt)
          : encodeMessages(tokenizer, prompt, leftOut)
      return tokens.length
    },
    logits: async (tokens, { signal } = {}) => ({
      logits: await llm.logits(checkTokens('tokens', 'token ids', tokens), {
        signal: signal ?? undefined,
      }),
    }),
    memory: () => llm.device.memory(),
    inspect: createInspector(llm),
    cache: cache ?? emptyCache,
    shrunk: llm.shrunk.map(({ option, asked, used, limit }) =>
      option === 'numBlocks'
        ? { option: 'kvCacheTokens', asked: asked * blockSize, used: used * blockSize, limit }
        : { option, asked, used, limit },
    ),
    dispose,
    [Symbol.asyncDispose]: dispose,
  }
}

async function collect(
  pieces: AsyncIterable<Piece>,
): Promise<{ text: string; tokens: number[]; finish: NonNullable<Piece['finish']> }> {
  let text = ''
  const tokens: number[] = []
  let finish: Piece['finish']
  for await (const piece of pieces) {
    text += piece.text
    tokens.push(...piece.tokens)
    finish = piece.finish
  }
  invariant(finish !== undefined, 'the last piece says why it is the last')
  return { text, tokens, finish }
}
