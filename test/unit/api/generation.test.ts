// Tokens → pieces of text, over an engine that yields a script: characters in parts, ids without text, stop strings,
// ends. Requests on a real model are in engine.test.ts.

import { describe, expect, test } from 'vitest'
import { generatePieces, type Piece } from '../../../src/api/generation.ts'
import type { SamplingOptions } from '../../../src/api/types.ts'
import type { LlmEngine } from '../../../src/engine/llm/llmEngine.ts'
import type { TokenEvent } from '../../../src/engine/llm/servingLoop.ts'
import type { SequenceParams } from '../../../src/engine/llm/sequence.ts'
import { createTokenizer, type Tokenizer } from '../../../src/text/tokenizer.ts'
import { byteLevelTokenizer } from '../text/fixtures.ts'
import { collect } from './models.ts'

/** Ids 0–255 are bytes, seven merges, then <|end|>. */
const tokenizer = createTokenizer({
  name: 'bytes',
  tokenizer: byteLevelTokenizer(),
  tokenizerConfig: { eos_token: '<|end|>' },
  generationConfig: {},
  modelConfig: {},
  chatTemplate: undefined,
})
const end = 263

interface Scripted {
  readonly engine: LlmEngine
  /** What the engine was asked for. */
  readonly asked: SequenceParams[]
  /** Tokens that have been taken, and whether the stream was left. */
  readonly taken: number[]
  isLeft: boolean
}

/** Yields the script; the last token ends with `reason`. */
function scripted(script: readonly number[], reason: 'stop' | 'length' = 'length'): Scripted {
  const state: Scripted = {
    engine: {
      config: { vocabSize: 10_000 },
      async *generate(params: SequenceParams): AsyncGenerator<TokenEvent> {
        state.asked.push(params)
        try {
          for (const [index, token] of script.entries()) {
            state.taken.push(token)
            yield { token, finishReason: index === script.length - 1 ? reason : undefined }
          }
        } finally {
          state.isLeft = true
        }
      },
    } as unknown as LlmEngine,
    asked: [],
    taken: [],
    isLeft: false,
  }
  return state
}

const bytes = (text: string): number[] => [...new TextEncoder().encode(text)]

async function run(
  { engine }: Scripted,
  options: SamplingOptions = {},
  use: Tokenizer | undefined = tokenizer,
): Promise<{ text: string; texts: string[]; tokens: number[]; last: Piece }> {
  const pieces = await collect(generatePieces(engine, use, [1, 2, 3], options))
  return {
    text: pieces.map(({ text }) => text).join(''),
    texts: pieces.map(({ text }) => text),
    tokens: pieces.flatMap(({ tokens }) => tokens),
    last: pieces.at(-1)!,
  }
}

describe('pieces', () => {
  test('are one for each token, and one more that says why it ended', async () => {
    const { texts, tokens, last } = await run(scripted(bytes('Hi!')))
    expect(texts).toEqual(['H', 'i', '!', ''])
    expect(tokens).toEqual(bytes('Hi!'))
    expect(last.finish).toMatchObject({
      reason: 'length',
      usage: { prompt_tokens: 3, completion_tokens: 3, total_tokens: 6 },
    })
  })

  test('hold a character back until all of its bytes are there', async () => {
    const { texts } = await run(scripted(bytes('aé😀b')))
    expect(texts).toEqual(['a', '', 'é', '', '', '', '😀', 'b', ''])
  })

  test('end with a replacement character where a character stays incomplete', async () => {
    const { text, texts } = await run(scripted(bytes('a😀').slice(0, -1)))
    expect(texts[0]).toBe('a')
    expect(text).toMatch(/^a\uFFFD+$/)
  })

  test('have no text for the token that ends the answer, nor for ids beyond the tokenizer', async () => {
    const { text, tokens, last } = await run(scripted([...bytes('a'), 9999, ...bytes('b'), end], 'stop'))
    expect(text).toBe('ab')
    expect(tokens).toEqual([97, 9999, 98, end])
    expect(last.finish).toMatchObject({ reason: 'stop', usage: { completion_tokens: 4 } })
  })

  test('have no text for ids that the vocabulary leaves out', async () => {
    const files = byteLevelTokenizer()
    const added = { id: 270, content: '<|far|>', special: false }
    const holed = createTokenizer({
      name: 'holes',
      tokenizer: { ...files, added_tokens: [...(files['added_tokens'] as object[]), added] },
      tokenizerConfig: {},
      generationConfig: {},
      modelConfig: {},
      chatTemplate: undefined,
    })
    expect(holed.vocabSize).toBe(271)
    const script = [...bytes('aé').slice(0, 2), 265, ...bytes('é').slice(1), 270, ...bytes('b')]
    const { text, tokens } = await run(scripted(script), {}, holed)
    expect(text).toBe('aé<|far|>b')
    expect(tokens).toEqual(script)
    expect(() => holed.decode([265])).toThrow(/text\/tokenizer/)
  })

  test('without a tokenizer have no text at all', async () => {
    const pieces = await collect(generatePieces(scripted([5, 6]).engine, undefined, [1], {}))
    expect(pieces.map(({ text }) => text)).toEqual(['', '', ''])
    expect(pieces.flatMap(({ tokens }) => tokens)).toEqual([5, 6])
  })
})

describe('a stop string', () => {
  test('over several tokens ends the answer and leaves the engine', async () => {
    const script = scripted(bytes('one. two. three'))
    const { text, last } = await run(script, { stop: '. t' })
    expect(text).toBe('one')
    expect(last.finish).toMatchObject({ reason: 'stop', usage: { completion_tokens: 6 } })
    expect(script.taken).toHaveLength(6)
    expect(script.isLeft).toBe(true)
  })

  test('that does not come holds back only what could begin it', async () => {
    const { texts } = await run(scripted(bytes('a.b.')), { stop: '.c' })
    expect(texts).toEqual(['a', '', '.b', '', '.'])
  })

  test('made of characters in parts is found', async () => {
    const { text } = await run(scripted(bytes('a😀é😀')), { stop: ['é', '~'] })
    expect(text).toBe('a😀')
  })

  test('in what comes last of all is cut off too', async () => {
    const { text } = await run(scripted(bytes('a😀').slice(0, -1)), { stop: '\uFFFD' })
    expect(text).toBe('a')
  })
})

describe('the engine is asked', () => {
  const asked = async (options: SamplingOptions): Promise<SequenceParams> => {
    const script = scripted([5])
    await run(script, options)
    return script.asked[0]!
  }

  test('for the prompt, to stop at the end token, at temperature 0.7 and without a limit', async () => {
    const { promptTokens, maxNewTokens, stopTokenIds, sampling } = await asked({})
    expect(promptTokens).toEqual([1, 2, 3])
    expect(maxNewTokens).toBe(Number.MAX_SAFE_INTEGER)
    expect([...stopTokenIds]).toEqual([end])
    expect(sampling.temperature).toBe(0.7)
  })

  test('with both halves of the seed', async () => {
    expect((await asked({ seed: 7 })).sampling.seed).toEqual([7, 0])
    expect((await asked({ seed: 7 + 2 ** 31 })).sampling.seed).toEqual([7 + 2 ** 31, 0])
    expect((await asked({ seed: 2 ** 32 * 5 + 3 })).sampling.seed).toEqual([3, 5])
  })

  test('with a random seed of two u32 if there is none', async () => {
    const seeds = await Promise.all([1, 2, 3].map(async () => (await asked({})).sampling.seed))
    expect(new Set(seeds.map(String)).size).toBe(3)
    expect(seeds.flat().every((word) => Number.isInteger(word) && word >= 0 && word < 2 ** 32)).toBe(true)
  })

  test('for nothing when the request is wrong', async () => {
    const script = scripted([5])
    await expect(run(script, { max_tokens: 0 })).rejects.toMatchObject({ where: 'max_tokens' })
    expect(script.asked).toEqual([])
  })
})

describe('leaving', () => {
  test('the pieces leaves the engine', async () => {
    const script = scripted(bytes('abc'))
    for await (const { text } of generatePieces(script.engine, tokenizer, [1], {})) {
      expect(text).toBe('a')
      break
    }
    expect(script.isLeft).toBe(true)
    expect(script.taken).toHaveLength(1)
  })
})
