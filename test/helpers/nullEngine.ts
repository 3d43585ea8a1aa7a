// An engine whose tokens cost nothing: token i of an answer is i. Its requests can pause or fail between tokens.

import { completions } from '../../src/api/completions.ts'
import type {
  Completion,
  CompletionChunk,
  CompletionRequest,
  Engine,
  SamplingOptions,
  Usage,
} from '../../src/api/types.ts'
import { CancelledFault } from '../../src/api/cancelledFault.ts'
import { emptyCache } from '../../src/weights/remote/modelCache.ts'

export interface NullEngineOptions {
  /** Awaited before each token. */
  readonly beforeToken?: ((index: number) => unknown) | undefined
}

export interface NullEngine extends Engine {
  readonly numRunning: number
  readonly isDisposed: boolean
}

const usageOf = (numTokens: number): Usage => ({
  prompt_tokens: 1,
  completion_tokens: numTokens,
  total_tokens: 1 + numTokens,
})
const usage = usageOf(1)
const timings = { ttftMs: 0, tpotMs: undefined, prefillTokensPerSecond: 0, decodeTokensPerSecond: undefined }
const emptyGraph = { name: 'null', states: [], values: [], ops: [], inputs: [], outputs: {} }
const memoryOf = (bytes: number): ReturnType<Engine['memory']> => ({
  weights: bytes,
  states: 0,
  arena: 0,
  step: 0,
  readback: 0,
})

export function createNullEngine({ beforeToken }: NullEngineOptions = {}): NullEngine {
  let numRunning = 0
  let isDisposed = false
  const head = {
    id: 'null-0',
    model: 'null',
    get created() {
      return performance.timeOrigin + performance.now()
    },
  } as const

  async function* tokens({ max_tokens: limit = 1, signal }: SamplingOptions): AsyncGenerator<number> {
    numRunning++
    try {
      for (let index = 0; index < limit; index++) {
        if (beforeToken !== undefined) await beforeToken(index)
        if (signal?.aborted === true) throw new CancelledFault(usageOf(index), timings, signal.reason)
        yield index
      }
    } finally {
      numRunning--
    }
  }

  async function* streamText(request: CompletionRequest): AsyncGenerator<CompletionChunk> {
    for await (const token of tokens(request)) {
      const choice = { index: 0, text: ` ${token}`, tokens: [token], finish_reason: null }
      yield { ...head, object: 'text_completion', choices: [choice] }
    }
    yield { ...head, object: 'text_completion', choices: [], usage, timings }
  }

  async function wholeText(request: CompletionRequest): Promise<Completion> {
    const all: number[] = []
    for await (const token of tokens(request)) all.push(token)
    const choice = { index: 0, text: all.join(' '), tokens: all, finish_reason: 'length' as const }
    return { ...head, object: 'text_completion', choices: [choice], usage, timings }
  }

  async function dispose(): Promise<void> {
    isDisposed = true
  }

  return {
    model: 'null',
    dtype: 'f32',
    vocabSize: 2,
    maxSeqLen: 16,
    shrunk: [],
    cache: emptyCache,
    inspect: {
      model: async () => ({ graph: emptyGraph, plans: [], shaders: [], buffers: [] }),
      kvCache: async () => ({ blockSize: 16, numBlocks: 0, numFree: 0, sequences: [] }),
      profile: async () => [],
    },
    adapter: {
      vendor: '',
      architecture: '',
      device: 'null',
      description: '',
      backend: 'null',
      isSoftware: true,
      features: [],
      subgroupMinSize: undefined,
      subgroupMaxSize: undefined,
    },
    chat: {
      completions: completions(
        'chat',
        async function* (request) {
          for await (const token of tokens(request)) {
            const choice = { index: 0, delta: { content: ` ${token}` }, finish_reason: null }
            yield { ...head, object: 'chat.completion.chunk', choices: [choice] }
          }
        },
        async ({ messages }) => {
          const message = { role: 'assistant' as const, content: `heard ${messages.length}` }
          const choice = { index: 0, message, finish_reason: 'stop' as const }
          return { ...head, object: 'chat.completion', choices: [choice], usage, timings }
        },
      ),
    },
    completions: completions('text', streamText, wholeText),
    // A letter is a token.
    countTokens: async (prompt) =>
      typeof prompt === 'string'
        ? prompt.length
        : prompt.reduce((sum, { content }) => sum + (content ?? '').length, 0),
    logits: async (ids) => ({ logits: ids.map((id) => Float32Array.of(id, id / 3)) }),
    memory: () => memoryOf(isDisposed ? 0 : 64 + numRunning),
    get numRunning() {
      return numRunning
    },
    get isDisposed() {
      return isDisposed
    },
    dispose,
    [Symbol.asyncDispose]: dispose,
  }
}
