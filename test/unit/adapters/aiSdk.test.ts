// The Vercel AI SDK's own generateText and streamText over a fake engine, and once over the embedded model.

import { existsSync } from 'node:fs'
import type { LanguageModelV4CallOptions, LanguageModelV4StreamPart } from '@ai-sdk/provider'
import { AISDKError, UnsupportedFunctionalityError } from '@ai-sdk/provider'
import { generateText, jsonSchema, Output, streamText, tool } from 'ai'
import { describe, expect, test, vi } from 'vitest'
import { tabhopper } from '../../../src/adapters/aiSdk.ts'
import { createEngine } from '../../../src/node.ts'
import { modelsDir } from '../../helpers/dirs.ts'
import { createFakeEngine, timings } from './fakeEngine.ts'

const hello: LanguageModelV4CallOptions['prompt'] = [
  { role: 'user', content: [{ type: 'text', text: 'Hello' }] },
]

async function collect<T>(stream: ReadableStream<T>): Promise<T[]> {
  const values: T[] = []
  for await (const value of stream) values.push(value)
  return values
}

const partsOf = async (
  engine = createFakeEngine(),
  options: Partial<LanguageModelV4CallOptions> = {},
): Promise<LanguageModelV4StreamPart[]> =>
  collect((await tabhopper(engine).doStream({ prompt: hello, ...options })).stream)

describe('generateText', () => {
  test('gives text, usage, reason, metadata and the model by name', async () => {
    const model = tabhopper(createFakeEngine(), { modelId: 'storyteller' })
    const result = await generateText({ model, prompt: 'Tell me a story.' })
    expect(result.text).toBe('Once upon a time.')
    expect(result.usage).toMatchObject({ inputTokens: 5, outputTokens: 4, totalTokens: 9 })
    expect(result.finishReason).toBe('stop')
    expect(result.rawFinishReason).toBe('stop')
    expect(result.response).toMatchObject({
      id: 'chatcmpl-7',
      modelId: 'storyteller',
      timestamp: new Date(1_750_000_000_000),
    })
    expect(result.providerMetadata).toEqual({ tabhopper: timings })
    expect(result.warnings).toEqual([])
  })

  test('passes the conversation as it is', async () => {
    const engine = createFakeEngine()
    await generateText({
      model: tabhopper(engine),
      instructions: 'Be brief.',
      messages: [
        { role: 'user', content: 'One' },
        { role: 'assistant', content: [{ type: 'text', text: 'Two' }] },
        {
          role: 'user',
          content: [
            { type: 'text', text: 'Thr' },
            { type: 'text', text: 'ee' },
          ],
        },
      ],
    })
    expect(engine.requests[0]?.messages).toEqual([
      { role: 'system', content: 'Be brief.' },
      { role: 'user', content: 'One' },
      { role: 'assistant', content: 'Two' },
      { role: 'user', content: 'Three' },
    ])
  })

  test('passes every setting under its name, and none that is not set', async () => {
    const engine = createFakeEngine()
    const model = tabhopper(engine)
    const prompt = 'Hello'
    await generateText({
      model,
      prompt,
      maxOutputTokens: 3,
      temperature: 0.5,
      topP: 0.9,
      topK: 40,
      presencePenalty: 0.1,
      frequencyPenalty: 0.2,
      stopSequences: ['END'],
      seed: 7,
    })
    await generateText({ model, prompt })
    const messages = [{ role: 'user', content: 'Hello' }]
    expect(engine.requests).toEqual([
      {
        messages,
        max_tokens: 3,
        temperature: 0.5,
        top_p: 0.9,
        top_k: 40,
        presence_penalty: 0.1,
        frequency_penalty: 0.2,
        stop: ['END'],
        seed: 7,
      },
      { messages },
    ])
    expect(Object.keys(engine.requests[1] ?? {})).toEqual(['messages'])
  })

  test('says that the length ended it', async () => {
    const result = await generateText({
      model: tabhopper(createFakeEngine()),
      prompt: 'Hello',
      maxOutputTokens: 2,
    })
    expect(result.text).toBe('Once upon')
    expect(result.finishReason).toBe('length')
  })

  test('warns of tools, of JSON and of reasoning', async () => {
    vi.stubGlobal('AI_SDK_LOG_WARNINGS', false)
    const model = tabhopper(createFakeEngine({ answers: [['{"a":1}']] }))
    const schema = jsonSchema<{ a: number }>({ type: 'object', properties: { a: { type: 'number' } } })
    const result = await generateText({
      model,
      prompt: 'Hello',
      tools: { look: tool({ inputSchema: schema, execute: async () => 'seen' }) },
      output: Output.object({ schema }),
      reasoning: 'high',
    })
    expect(result.output).toEqual({ a: 1 })
    expect(result.warnings).toMatchObject(
      ['tools', 'responseFormat', 'reasoning'].map((feature) => ({ type: 'unsupported', feature })),
    )
    vi.unstubAllGlobals()
  })

  test('refuses pictures with the error of the SDK', async () => {
    const file = { type: 'file' as const, mediaType: 'image/png', data: new Uint8Array([137, 80, 78, 71]) }
    const attempt = generateText({
      model: tabhopper(createFakeEngine()),
      messages: [{ role: 'user', content: [{ type: 'text', text: 'What is this?' }, file] }],
    })
    const error = await attempt.catch((error: unknown) => error)
    expect(UnsupportedFunctionalityError.isInstance(error)).toBe(true)
    expect(AISDKError.isInstance(error)).toBe(true)
    expect(error).toMatchObject({ code: 'engine/input', functionality: 'file parts in prompts' })
  })

  test('refuses the use of tools in a history', async () => {
    const call = { type: 'tool-call' as const, toolCallId: '1', toolName: 'look', input: {} }
    const prompt = [...hello, { role: 'assistant' as const, content: [call] }]
    const error = await Promise.resolve(tabhopper(createFakeEngine()).doGenerate({ prompt })).catch(
      (e: unknown) => e,
    )
    expect(UnsupportedFunctionalityError.isInstance(error)).toBe(true)
  })

  test("leaves a history's reasoning out, and says so", async () => {
    const engine = createFakeEngine()
    const thought = { type: 'reasoning' as const, text: 'Hmm.' }
    const prompt = [
      ...hello,
      { role: 'assistant' as const, content: [thought, { type: 'text' as const, text: 'Hi' }] },
    ]
    const { warnings } = await tabhopper(engine).doGenerate({ prompt })
    expect(engine.requests[0]?.messages.at(-1)).toEqual({ role: 'assistant', content: 'Hi' })
    expect(warnings).toMatchObject([{ type: 'unsupported', feature: 'reasoning parts in prompts' }])
  })

  test('ends with its signal', async () => {
    const controller = new AbortController()
    const engine = createFakeEngine({ beforeWord: () => controller.abort() })
    const attempt = generateText({
      model: tabhopper(engine),
      prompt: 'Hello',
      abortSignal: controller.signal,
    })
    await expect(attempt).rejects.toMatchObject({ name: 'AbortError' })
    expect(engine.numRunning).toBe(0)
  })

  test("passes the engine's faults on", async () => {
    const engine = createFakeEngine({ maxSeqLen: 2 })
    const attempt = generateText({ model: tabhopper(engine), prompt: 'a b c' })
    await expect(attempt).rejects.toMatchObject({ code: 'engine/context' })
  })
})

describe('doStream', () => {
  test('sends parts in the order of the specification', async () => {
    const id = 'text-0'
    expect(await partsOf()).toEqual([
      { type: 'stream-start', warnings: [] },
      {
        type: 'response-metadata',
        id: 'chatcmpl-7',
        modelId: 'fake',
        timestamp: new Date(1_750_000_000_000),
      },
      { type: 'text-start', id },
      ...['Once', ' upon', ' a', ' time.'].map((delta) => ({ type: 'text-delta', id, delta })),
      { type: 'text-end', id },
      {
        type: 'finish',
        finishReason: { unified: 'stop', raw: 'stop' },
        usage: {
          inputTokens: { total: 2, noCache: undefined, cacheRead: undefined, cacheWrite: undefined },
          outputTokens: { total: 4, text: 4, reasoning: undefined },
          raw: { prompt_tokens: 2, completion_tokens: 4, total_tokens: 6 },
        },
        providerMetadata: { tabhopper: timings },
      },
    ])
  })

  test('has no text block for an empty answer', async () => {
    const parts = await partsOf(createFakeEngine({ answers: [[]] }))
    expect(parts.map(({ type }) => type)).toEqual(['stream-start', 'response-metadata', 'finish'])
  })

  test('sends warnings first, and raw chunks if asked', async () => {
    const parts = await partsOf(createFakeEngine(), {
      responseFormat: { type: 'json' },
      includeRawChunks: true,
    })
    expect(parts[0]).toMatchObject({ warnings: [{ feature: 'responseFormat' }] })
    expect(parts.filter(({ type }) => type === 'raw')).toHaveLength(7)
    expect((await partsOf()).filter(({ type }) => type === 'raw')).toHaveLength(0)
  })

  test('sends a failure as a part, and still ends', async () => {
    const beforeWord = (index: number): void => {
      if (index === 1) throw new Error('lost')
    }
    const parts = await partsOf(createFakeEngine({ beforeWord }))
    expect(parts.slice(3)).toMatchObject([
      { type: 'text-delta', delta: 'Once' },
      { type: 'error', error: new Error('lost') },
      { type: 'text-end' },
      { type: 'finish', finishReason: { unified: 'error' } },
    ])
  })

  test.each([false, true])(
    'asks nothing of the engine once cancelled; with a read pending: %s',
    async (isReading) => {
      const engine = createFakeEngine({
        beforeWord: (index) => (index > 0 ? new Promise(() => {}) : undefined),
      })
      const { stream } = await tabhopper(engine).doStream({ prompt: hello })
      const reader = stream.getReader()
      for (let i = 0; i < 4; i++) await reader.read()
      expect(engine.numRunning).toBe(1)
      const pending = isReading ? reader.read() : undefined
      // The stream asks for the next part a moment later.
      await new Promise((resolve) => setTimeout(resolve))
      await reader.cancel()
      await pending
      expect(engine.numRunning).toBe(0)
    },
  )

  test('fails with an AbortError when its signal fires', async () => {
    const controller = new AbortController()
    const beforeWord = (index: number): void => {
      if (index === 1) controller.abort()
    }
    const attempt = partsOf(createFakeEngine({ beforeWord }), { abortSignal: controller.signal })
    await expect(attempt).rejects.toMatchObject({ name: 'AbortError' })
  })
})

describe('streamText', () => {
  test('streams words, then usage and reason', async () => {
    const result = streamText({ model: tabhopper(createFakeEngine()), prompt: 'Tell me a story.' })
    expect(await collect(result.textStream)).toEqual(['Once', ' upon', ' a', ' time.'])
    expect(await result.usage).toMatchObject({ inputTokens: 5, outputTokens: 4, totalTokens: 9 })
    expect(await result.finishReason).toBe('stop')
  })

  test('tells of an abort in the middle', async () => {
    const controller = new AbortController()
    const beforeWord = (index: number): void => {
      if (index === 2) controller.abort()
    }
    const onAbort = vi.fn<() => void>()
    const onError = vi.fn<() => void>()
    const engine = createFakeEngine({ beforeWord })
    const { signal: abortSignal } = controller
    const result = streamText({ model: tabhopper(engine), prompt: 'Hello', abortSignal, onAbort, onError })
    expect((await collect(result.textStream)).join('')).toMatch(/^(Once( upon)?)?$/)
    expect(onAbort).toHaveBeenCalledOnce()
    expect(onError).not.toHaveBeenCalled()
    expect(engine.numRunning).toBe(0)
  })

  test('tells of a failure', async () => {
    const onError = vi.fn<(event: { error: unknown }) => void>()
    const model = tabhopper(createFakeEngine({ maxSeqLen: 2 }))
    const result = streamText({ model, prompt: 'a b c', onError })
    expect(await collect(result.textStream)).toEqual([])
    expect(onError.mock.calls[0]?.[0].error).toMatchObject({ code: 'engine/context' })
  })
})

const dir = `${modelsDir}/tiny-llama`
const isThere = existsSync(`${dir}/model.safetensors`)

describe.skipIf(!isThere)(`over tiny-llama${isThere ? '' : ` (skipped: no ${dir})`}`, () => {
  test('streams what the engine answers', async () => {
    await using engine = await createEngine({ model: dir, device: 'reference', dtype: 'f32', maxSeqLen: 64 })
    const prompt = 'Tell me a story about a dog.'
    const messages = [{ role: 'user', content: prompt }]
    const direct = await engine.chat.completions.create({ messages, temperature: 0, max_tokens: 8 })
    const result = streamText({ model: tabhopper(engine), prompt, temperature: 0, maxOutputTokens: 8 })
    expect(await result.text).toBe(direct.choices[0]?.message.content)
    expect(await result.finishReason).toBe('length')
    expect((await result.usage).outputTokens).toBe(8)
  })
})
