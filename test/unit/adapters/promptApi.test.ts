// The Prompt API's shape over a fake engine whose tokens are words: a message costs one token and its words.

import { getEventListeners } from 'node:events'
import { afterEach, describe, expect, test, vi } from 'vitest'
import {
  createLanguageModel,
  installPromptApi,
  type CreateOptions,
  type LanguageModelSession,
  type PromptMessage,
} from '../../../src/adapters/promptApi.ts'
import { completions } from '../../../src/api/completions.ts'
import type {
  ChatCompletionChunk,
  ChatCompletionRequest,
  Engine,
  LoadProgress,
} from '../../../src/api/types.ts'
import { RuntimeFault } from '../../../src/core/errors.ts'
import { createFakeEngine, type FakeEngine, type FakeEngineOptions } from './fakeEngine.ts'

const system: PromptMessage = { role: 'system', content: 'Be brief.' }

async function start(
  options: CreateOptions = {},
  engineOptions: FakeEngineOptions = {},
): Promise<{ session: LanguageModelSession; engine: FakeEngine }> {
  const engine = createFakeEngine(engineOptions)
  return { session: await createLanguageModel(engine).create(options), engine }
}

async function collect(stream: ReadableStream<string>): Promise<string[]> {
  const pieces: string[] = []
  for await (const piece of stream) pieces.push(piece)
  return pieces
}

const nameOf = (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => 'fulfilled',
    (error: unknown) => (error instanceof Error ? error.name : String(error)),
  )

const said = (engine: FakeEngine): unknown[][] =>
  engine.requests.map(({ messages }) => messages.map(({ content }) => content))

/** Resolves when it is told to. */
function gate(): { open: () => void; opened: Promise<void> } {
  let open = (): void => undefined
  const opened = new Promise<void>((resolve) => {
    open = resolve
  })
  return { open, opened }
}

describe('prompt', () => {
  test('answers, and remembers', async () => {
    const { session, engine } = await start({}, { answers: [['Hi', ' there'], ['Bye']] })
    expect(await session.prompt('Hello')).toBe('Hi there')
    expect(await session.prompt('Leave')).toBe('Bye')
    expect(engine.requests[1]?.messages).toEqual([
      { role: 'user', content: 'Hello' },
      { role: 'assistant', content: 'Hi there' },
      { role: 'user', content: 'Leave' },
    ])
  })

  test('begins with the initial prompts', async () => {
    const shots: PromptMessage[] = [
      { role: 'user', content: 'One' },
      { role: 'assistant', content: 'Two' },
    ]
    const { session, engine } = await start({ initialPrompts: [system, ...shots] })
    await session.prompt('Three')
    expect(engine.requests.at(-1)?.messages).toEqual([system, ...shots, { role: 'user', content: 'Three' }])
  })

  test('takes messages, and joins their texts', async () => {
    const { session, engine } = await start()
    const text = (value: string): { type: 'text'; value: string } => ({ type: 'text', value })
    await session.prompt([
      system,
      { role: 'user', content: [text('He'), text('llo')] },
      { role: 'user', content: [] },
    ])
    await session.prompt([])
    expect(said(engine)).toEqual([
      ['Be brief.', 'Hello', ''],
      ['Be brief.', 'Hello', '', 'Once upon a time.', ''],
    ])
  })

  test('waits for its turn', async () => {
    const { open, opened } = gate()
    const { session, engine } = await start({}, { answers: [['A'], ['B']], beforeWord: () => opened })
    const answers = Promise.all([session.prompt('1'), session.prompt('2')])
    await vi.waitFor(() => expect(engine.numRunning).toBe(1))
    expect(engine.requests).toHaveLength(1)
    open()
    expect(await answers).toEqual(['A', 'B'])
    expect(said(engine)[1]).toEqual(['1', 'A', '2'])
  })

  test('samples as asked', async () => {
    const requestOf = async (options: CreateOptions): Promise<unknown> => {
      const { session, engine } = await start(options)
      await session.prompt('Hello')
      return [engine.requests[0]?.temperature, engine.requests[0]?.top_k]
    }
    expect(await requestOf({})).toEqual([0.7, 0])
    expect(await requestOf({ temperature: 0.2, topK: 40.9 })).toEqual([0.2, 40])
    expect(await requestOf({ topK: Infinity })).toEqual([0.7, 0])
    expect(await requestOf({ samplingMode: 'most-predictable' })).toEqual([0, 0])
  })

  test('shows how it samples', async () => {
    const { session } = await start({ samplingMode: 'creative' })
    expect([session.samplingMode, session.temperature, session.topK]).toEqual(['creative', 1, 1000])
  })
})

describe('promptStreaming', () => {
  test('streams pieces, and remembers', async () => {
    const { session, engine } = await start()
    expect(await collect(session.promptStreaming('Hello'))).toEqual(['Once', ' upon', ' a', ' time.'])
    await session.prompt('More')
    expect(said(engine)[1]).toEqual(['Hello', 'Once upon a time.', 'More'])
  })

  test('that nobody reads holds nothing up', async () => {
    const { session } = await start()
    session.promptStreaming('Hello')
    expect(await session.prompt('More')).toBe('Once upon a time.')
  })

  test('fails as prompt would', async () => {
    const { session } = await start({}, { maxSeqLen: 3 })
    expect(await nameOf(collect(session.promptStreaming('a b c d')))).toBe('QuotaExceededError')
    expect(await nameOf(collect(session.promptStreaming('a', { responseConstraint: {} })))).toBe(
      'NotSupportedError',
    )
  })

  test('ends when it is cancelled, and leaves no trace', async () => {
    const beforeWord = (index: number): unknown => (index === 1 ? new Promise(() => {}) : undefined)
    const { session, engine } = await start({}, { beforeWord })
    const reader = session.promptStreaming('Hello').getReader()
    expect(await reader.read()).toMatchObject({ value: 'Once' })
    expect(engine.numRunning).toBe(1)
    await reader.cancel()
    await vi.waitFor(() => expect(engine.numRunning).toBe(0))
    await session.append('More')
    expect(session.contextUsage).toBe(2)
  })
})

describe('abort', () => {
  test('in the middle rejects with the reason, and leaves no trace', async () => {
    const controller = new AbortController()
    const beforeWord = (index: number): void => {
      if (index === 2) controller.abort(new Error('enough'))
    }
    const { session, engine } = await start({}, { beforeWord })
    await expect(session.prompt('Hello', { signal: controller.signal })).rejects.toThrow('enough')
    expect(session.contextUsage).toBe(0)
    await vi.waitFor(() => expect(engine.numRunning).toBe(0))
  })

  test('while waiting never asks the engine', async () => {
    const { open, opened } = gate()
    const { session, engine } = await start({}, { beforeWord: () => opened })
    const controller = new AbortController()
    const first = session.prompt('1')
    const second = session.prompt('2', { signal: controller.signal })
    controller.abort()
    expect(await nameOf(second)).toBe('AbortError')
    expect(await nameOf(session.prompt('3', { signal: controller.signal }))).toBe('AbortError')
    open()
    await first
    expect(said(engine)).toEqual([['1']])
  })

  test('with the last word leaves no trace', async () => {
    const controller = new AbortController()
    const engine = createFakeEngine()
    const create = async function* (request: ChatCompletionRequest): AsyncGenerator<ChatCompletionChunk> {
      yield* engine.chat.completions.create({ ...request, stream: true })
      controller.abort()
    }
    const chat = {
      completions: completions('chat', create, (request) => engine.chat.completions.create(request)),
    }
    const session = await createLanguageModel({ ...engine, chat }).create()
    expect(await nameOf(session.prompt('Hello', { signal: controller.signal }))).toBe('AbortError')
    expect(session.contextUsage).toBe(0)
  })

  test('of the signal given to create destroys the session', async () => {
    const controller = new AbortController()
    const { session } = await start({ signal: controller.signal })
    controller.abort(new Error('closed'))
    await expect(session.prompt('Hello')).rejects.toThrow('closed')
  })

  test('of one signal destroys many sessions, and those that are destroyed leave nothing on it', async () => {
    const controller = new AbortController()
    const { signal } = controller
    const model = createLanguageModel(createFakeEngine())
    const sessions = await Promise.all(Array.from({ length: 20 }, () => model.create({ signal })))
    const [first, ...others] = sessions
    expect(getEventListeners(signal, 'abort')).toHaveLength(1)
    for (const session of others) session.destroy()
    expect(getEventListeners(signal, 'abort')).toHaveLength(1)
    controller.abort(new Error('closed'))
    await expect(first!.prompt('Hello')).rejects.toThrow('closed')
    const calm = new AbortController()
    const last = await model.create({ signal: calm.signal })
    last.destroy()
    expect(getEventListeners(calm.signal, 'abort')).toEqual([])
  })

  test('before and during create rejects it', async () => {
    const during = new AbortController()
    const load = vi.fn<() => Promise<Engine>>(() => new Promise(() => undefined))
    const model = createLanguageModel(load)
    expect(await nameOf(model.create({ signal: AbortSignal.abort() }))).toBe('AbortError')
    expect(load).not.toHaveBeenCalled()
    const attempt = model.create({ signal: during.signal })
    during.abort()
    expect(await nameOf(attempt)).toBe('AbortError')
  })
})

describe('destroy', () => {
  test('ends what runs, and all that comes later', async () => {
    const { open, opened } = gate()
    const { session, engine } = await start({}, { beforeWord: () => opened })
    const running = session.prompt('Hello')
    await vi.waitFor(() => expect(engine.numRunning).toBe(1))
    session.destroy()
    expect(await nameOf(running)).toBe('AbortError')
    open()
    await vi.waitFor(() => expect(engine.numRunning).toBe(0))
    expect(await nameOf(session.prompt('Hello'))).toBe('AbortError')
    expect(await nameOf(session.append('Hello'))).toBe('AbortError')
    expect(await nameOf(session.clone())).toBe('AbortError')
    expect(await nameOf(session.measureContextUsage('Hello'))).toBe('AbortError')
    expect(await nameOf(collect(session.promptStreaming('Hello')))).toBe('AbortError')
  })

  test('leaves clones alone', async () => {
    const { session } = await start()
    const copy = await session.clone()
    session.destroy()
    expect(await copy.prompt('Hello')).toBe('Once upon a time.')
  })
})

describe('clone', () => {
  test('knows what was said before, and not what was said after', async () => {
    const { session, engine } = await start({ initialPrompts: [system], temperature: 0.3 })
    await session.prompt('One')
    const copy = await session.clone()
    await session.prompt('Two')
    expect(copy.contextUsage).toBeLessThan(session.contextUsage)
    await copy.prompt('Three')
    expect(said(engine).at(-1)).toEqual(['Be brief.', 'One', 'Once upon a time.', 'Three'])
    expect(copy.temperature).toBe(0.3)
    expect(await nameOf(session.clone({ signal: AbortSignal.abort() }))).toBe('AbortError')
  })
})

describe('the context', () => {
  test('is counted', async () => {
    const { session } = await start({ initialPrompts: [system] })
    // Three for the system message, one for the user's turn that must follow.
    expect(session.contextUsage).toBe(4)
    await session.prompt('Hello')
    expect(session.contextUsage).toBe(3 + 2 + 4)
    expect([session.inputUsage, session.contextWindow, session.inputQuota]).toEqual([9, 64, 64])
  })

  test('is measured without being changed', async () => {
    const { session, engine } = await start()
    expect(await session.measureContextUsage('one two three')).toBe(4)
    expect(await session.measureInputUsage([system, { role: 'user', content: 'one' }])).toBe(5)
    // More than the context holds.
    expect(await session.measureContextUsage('a '.repeat(64))).toBe(65)
    expect(session.contextUsage).toBe(0)
    expect(engine.requests).toEqual([])
  })

  test('grows by what is appended', async () => {
    const { session, engine } = await start()
    await session.append('one two')
    expect(session.contextUsage).toBe(3)
    await session.append([{ role: 'assistant', content: 'three' }])
    await session.prompt('four')
    expect(said(engine).at(-1)).toEqual(['one two', 'three', 'four'])
  })

  test('that overflows loses its oldest exchange, and says so', async () => {
    const { session, engine } = await start({ initialPrompts: [system] }, { answers: [['a']], maxSeqLen: 10 })
    const heard: string[] = []
    session.addEventListener('contextoverflow', ({ type }) => heard.push(`listener ${type}`))
    session.oncontextoverflow = ({ type }) => heard.push(type)
    session.onquotaoverflow = ({ type }) => heard.push(type)
    await session.prompt('one')
    await session.prompt('two')
    expect(heard).toEqual([])
    await session.prompt('three four')
    expect(said(engine).at(-1)).toEqual(['Be brief.', 'two', 'a', 'three four'])
    expect(heard).toEqual(['contextoverflow', 'listener contextoverflow', 'quotaoverflow'])
  })

  test('loses nothing to an input that cannot fit', async () => {
    const { session } = await start({ initialPrompts: [system] }, { answers: [['a']], maxSeqLen: 10 })
    await session.prompt('one')
    const before = session.contextUsage
    const attempt = session.prompt('a b c d e f g')
    await expect(attempt).rejects.toMatchObject({
      name: 'QuotaExceededError',
      quota: 10,
      requested: 3 + 8,
    })
    await expect(attempt).rejects.toBeInstanceOf(DOMException)
    expect(session.contextUsage).toBe(before)
  })

  test('refuses initial prompts that do not fit', async () => {
    expect(await nameOf(start({ initialPrompts: [system] }, { maxSeqLen: 2 }))).toBe('QuotaExceededError')
  })
})

describe('input', () => {
  const wrong: [name: string, input: readonly unknown[], error: string][] = [
    ['a picture', [{ role: 'user', content: [{ type: 'image', value: {} }] }], 'NotSupportedError'],
    ['text that is none', [{ role: 'user', content: [{ type: 'text', value: 1 }] }], 'TypeError'],
    ['an unknown role', [{ role: 'tool', content: '' }], 'TypeError'],
    ['a late system message', [{ role: 'user', content: '' }, system], 'TypeError'],
    ["a user's prefix", [{ role: 'user', content: '', prefix: true }], 'SyntaxError'],
    ['a prefix in the middle', [{ role: 'assistant', content: '', prefix: true }, system], 'SyntaxError'],
    ['a prefix at the end', [{ role: 'assistant', content: '', prefix: true }], 'NotSupportedError'],
  ]
  test.each(wrong)('is refused: %s', async (_name, input, error) => {
    const { session, engine } = await start()
    expect(await nameOf(session.prompt(input as PromptMessage[]))).toBe(error)
    expect(engine.requests).toEqual([])
  })

  test('from the system is refused in a conversation', async () => {
    const { session } = await start()
    await session.append('Hello')
    expect(await nameOf(session.prompt([system]))).toBe('TypeError')
  })

  test('with constraints is refused', async () => {
    const { session } = await start()
    expect(await nameOf(session.prompt('Hello', { responseConstraint: {} }))).toBe('NotSupportedError')
    expect(await nameOf(session.prompt('Hello', { omitResponseConstraintInput: true }))).toBe('TypeError')
  })

  test('to an engine that is disposed gives an InvalidStateError', async () => {
    const beforeWord = (): void => {
      throw new RuntimeFault('engine/disposed', { where: 'engine', expected: 'a', got: 'b', fix: 'C.' })
    }
    const { session } = await start({}, { beforeWord })
    expect(await nameOf(session.prompt('Hello'))).toBe('InvalidStateError')
  })

  test('that the engine refuses gives an error with its cause', async () => {
    const fault = new RuntimeFault('text/template', { where: 'chat', expected: 'a', got: 'b', fix: 'C.' })
    const beforeWord = (): void => {
      throw fault
    }
    const { session } = await start({}, { beforeWord })
    const attempt = session.prompt('Hello')
    await expect(attempt).rejects.toMatchObject({
      name: 'UnknownError',
      message: fault.message,
      cause: fault,
    })
    await expect(attempt).rejects.toBeInstanceOf(DOMException)
  })
})

describe('create', () => {
  const unsupported: CreateOptions[] = [
    { tools: [{}] },
    { expectedInputs: [{ type: 'text' }, { type: 'image' }] },
    { expectedOutputs: [{ type: 'audio' }] },
  ]
  test.each(unsupported)('refuses, as availability says: %j', async (options) => {
    const model = createLanguageModel(createFakeEngine())
    expect(await model.availability(options)).toBe('unavailable')
    expect(await nameOf(model.create(options))).toBe('NotSupportedError')
  })

  test('takes text in any language', async () => {
    const model = createLanguageModel(createFakeEngine())
    const options = { expectedInputs: [{ type: 'text', languages: ['de'] }], tools: [] }
    expect(await model.availability(options)).toBe('available')
    expect(await model.create(options)).toBeInstanceOf(model)
    expect({}).not.toBeInstanceOf(model)
  })

  test.each<[CreateOptions, string]>([
    [{ temperature: -1 }, 'RangeError'],
    [{ temperature: Number.NaN }, 'RangeError'],
    [{ topK: 0 }, 'RangeError'],
    [{ samplingMode: 'balanced', topK: 3 }, 'TypeError'],
    [{ samplingMode: 'wild' as 'balanced' }, 'TypeError'],
  ])('refuses %j', async (options, error) => {
    expect(await nameOf(start(options))).toBe(error)
  })

  test('loads once for all, and again after a failure', async () => {
    const load = vi.fn<() => Promise<Engine>>()
    load.mockRejectedValueOnce(new Error('offline')).mockResolvedValue(createFakeEngine())
    const model = createLanguageModel(load)
    expect(await model.availability()).toBe('downloadable')
    await expect(model.create()).rejects.toMatchObject({ name: 'OperationError', message: 'offline' })
    expect(await model.availability()).toBe('downloadable')
    const both = Promise.all([model.create(), model.create()])
    expect(await model.availability()).toBe('downloading')
    await both
    expect(await model.availability()).toBe('available')
    expect(load).toHaveBeenCalledTimes(2)
  })
})

describe('the monitor', () => {
  const sharesOf = async (source: Parameters<typeof createLanguageModel>[0]): Promise<number[]> => {
    const shares: number[] = []
    const handled: number[] = []
    await createLanguageModel(source).create({
      monitor(monitor) {
        monitor.addEventListener('downloadprogress', (event) => {
          const { loaded, total } = event as ProgressEvent
          shares.push(loaded / total)
        })
        monitor.ondownloadprogress = ({ loaded }) => handled.push(loaded)
      },
    })
    expect(handled).toEqual(shares)
    return shares
  }

  test('goes from 0 to 1 without falling', async () => {
    const steps: LoadProgress[] = [
      { phase: 'download', loadedBytes: 20, totalBytes: 80, cachedBytes: 0 },
      { phase: 'verify', loadedBytes: 80, totalBytes: 80 },
      { phase: 'download', loadedBytes: 60, totalBytes: 80, cachedBytes: 0 },
      { phase: 'upload', loadedBytes: 8, totalBytes: 80 },
      { phase: 'compile', done: 1, total: 1 },
      { phase: 'ready' },
    ]
    const load = async (onProgress: (progress: LoadProgress) => void): Promise<Engine> => {
      for (const step of steps) onProgress(step)
      return createFakeEngine()
    }
    expect(await sharesOf(load)).toEqual([0, 0.25, 0.75, 1])
  })

  test('sees both ends where nothing is loaded', async () => {
    expect(await sharesOf(createFakeEngine())).toEqual([0, 1])
  })
})

describe('installPromptApi', () => {
  const page = globalThis as { LanguageModel?: unknown }
  afterEach(() => {
    delete page.LanguageModel
  })

  test('leaves what a browser has, unless told otherwise', () => {
    const own = {}
    page.LanguageModel = own
    expect(installPromptApi(createFakeEngine())).toBe(false)
    expect(page.LanguageModel).toBe(own)
    expect(installPromptApi(createFakeEngine(), { replace: true })).toBe(true)
    expect(page.LanguageModel).not.toBe(own)
  })

  test('fills the gap', async () => {
    expect(installPromptApi(createFakeEngine())).toBe(true)
    const session = await (page.LanguageModel as ReturnType<typeof createLanguageModel>).create()
    expect(await session.prompt('Hello')).toBe('Once upon a time.')
  })
})
