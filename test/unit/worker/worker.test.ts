// Page and worker over real ports in one thread: calls, streams, cancellation both ways, faults, ends of all kinds.
// Nothing may be left over afterwards.

import { afterEach, describe, expect, test, vi } from 'vitest'
import { CancelledFault } from '../../../src/api/cancelledFault.ts'
import type { CompletionChunk, Engine, LoadProgress } from '../../../src/api/types.ts'
import { RuntimeFault } from '../../../src/core/errors.ts'
import { memoryStore, readText, type FileStore } from '../../../src/core/files.ts'
import { protocolVersion } from '../../../src/worker/protocol.ts'
import { createNullEngine, type NullEngine } from '../../helpers/nullEngine.ts'
import { openEngine, greedy, prompt, collect } from '../api/models.ts'
import { pair, type Pair } from './pairs.ts'

const tick = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 2))

let last: Pair | undefined
function join(...args: Parameters<typeof pair>): Pair {
  return (last = pair(...args))
}

afterEach(async () => {
  const { closeTabs, host, engines } = last!
  closeTabs()
  const numLeft = (): number =>
    host.numClients + host.numRequests + host.numEngines + engines.filter((one) => !isOver(one)).length
  await vi.waitUntil(() => numLeft() === 0)
})

const isOver = ({ numRunning, isDisposed }: NullEngine): boolean => numRunning === 0 && isDisposed

const stream = (engine: Engine, max_tokens: number, signal?: AbortSignal): AsyncIterable<CompletionChunk> =>
  engine.completions.create({ prompt: [0], max_tokens, stream: true, ...(signal && { signal }) })

const tokensOf = (chunks: readonly CompletionChunk[]): number[] =>
  chunks.flatMap(({ choices }) => choices.flatMap(({ tokens }) => tokens))

const upTo = (count: number): number[] => Array.from({ length: count }, (_, index) => index)

describe('an engine in a worker', () => {
  test('says what it is, as the engine itself does', async () => {
    const { connect } = join()
    const { model, adapter, dtype, vocabSize, maxSeqLen, shrunk } = createNullEngine()
    expect(await connect()).toMatchObject({ model, adapter, dtype, vocabSize, maxSeqLen, shrunk })
  })

  test('has every member of an engine in the thread', async () => {
    const { connect } = join({}, (_, options) => openEngine({ options }))
    const local = await openEngine()
    expect(Object.keys(await connect()).sort()).toEqual(Object.keys(local).sort())
    await local.dispose()
  })

  test('answers as a real model in the thread does, to every kind of call', async () => {
    const { connect } = join({}, (_, options) => openEngine({ options }))
    await using engine = await connect('gqa', { dtype: 'f32', maxSeqLen: 64 })
    await using local = await openEngine()
    const request = { prompt, temperature: 0, max_tokens: 16 } as const
    expect((await engine.completions.create(request)).choices[0]!.tokens).toEqual(greedy)
    expect(tokensOf(await collect(engine.completions.create({ ...request, stream: true })))).toEqual(greedy)
    const chat = { messages: [{ role: 'user', content: 'A' }], temperature: 0, max_tokens: 4 } as const
    const { choices } = await local.chat.completions.create(chat)
    expect((await engine.chat.completions.create(chat)).choices).toEqual(choices)
    const chunks = await collect(engine.chat.completions.create({ ...chat, stream: true }))
    expect(chunks.map((chunk) => chunk.choices[0]?.delta.content ?? '').join('')).toBe(
      choices[0]!.message.content,
    )
    expect(await engine.logits(prompt)).toEqual(await local.logits(prompt))
    expect(await engine.countTokens('ABC')).toBe(3)
    expect(await engine.countTokens(chat.messages)).toBe(await local.countTokens(chat.messages))
    expect(engine.memory()).toEqual(local.memory())
  })

  test('passes options, progress and notices on', async () => {
    const steps: LoadProgress[] = [0, 5, 9].map((loadedBytes) => ({
      phase: 'upload',
      loadedBytes,
      totalBytes: 9,
    }))
    const { connect } = join({}, async (_, { onProgress, onNotice, ...options }) => {
      for (const step of steps) onProgress?.(step)
      onNotice?.('no cache')
      return { ...createNullEngine(), maxSeqLen: options.maxSeqLen ?? 0 }
    })
    const seen: LoadProgress[] = []
    const notices: string[] = []
    const engine = await connect('null', {
      maxSeqLen: 77,
      onProgress: (step) => seen.push(step),
      onNotice: (message) => notices.push(message),
    })
    expect(engine.maxSeqLen).toBe(77)
    expect(seen).toEqual(steps)
    expect(notices).toEqual(['no cache'])
  })

  test('pushes every token in order, to a hundred requests at once', async () => {
    const { connect } = join({ beforeToken: (index) => (index % 7 === 0 ? tick() : undefined) })
    const engine = await connect()
    const answers = await Promise.all(upTo(100).map((count) => collect(stream(engine, count))))
    expect(answers.map(tokensOf)).toEqual(upTo(100).map(upTo))
    expect(answers.every((chunks) => chunks.at(-1)?.usage !== undefined)).toBe(true)
  })

  test('loses nothing when the reader is slow', async () => {
    const engine = await join().connect()
    const tokens: number[] = []
    for await (const { choices } of stream(engine, 20)) {
      tokens.push(...(choices[0]?.tokens ?? []))
      await tick()
    }
    expect(tokens).toEqual(upTo(20))
  })

  test('sends one message for a request and none for a token', async () => {
    const engine = await join().connect()
    const sent = vi.spyOn(MessagePort.prototype, 'postMessage')
    await collect(stream(engine, 50))
    // The call, its comlink reply, 51 chunks, memory before and after, done.
    const numSent = sent.mock.calls.length
    sent.mockRestore()
    expect(numSent).toBeLessThanOrEqual(51 + 5)
  })

  test('keeps memory() up to date', async () => {
    const { connect } = join()
    const engine = await connect()
    expect(engine.memory().weights).toBe(64)
    const chunks = stream(engine, 2)[Symbol.asyncIterator]()
    await chunks.next()
    expect(engine.memory().weights).toBe(65)
    while ((await chunks.next()).done !== true);
    expect(engine.memory().weights).toBe(64)
    await engine.dispose()
    expect(engine.memory().weights).toBe(0)
  })
})

describe('a request ends in the worker', () => {
  test('when its signal fires, and rejects with the reason as cause', async () => {
    const { connect, engines } = join({ beforeToken: tick })
    const engine = await connect()
    const abort = new AbortController()
    const reason = new Error('enough')
    const tokens: number[] = []
    const reading = (async () => {
      for await (const { choices } of stream(engine, 1e9, abort.signal)) {
        if (tokens.push(...choices[0]!.tokens) === 3) abort.abort(reason)
      }
    })()
    const fault = await reading.catch((error: unknown) => error)
    expect(fault).toBeInstanceOf(CancelledFault)
    expect(fault).toMatchObject({ name: 'AbortError', code: 'engine/cancelled', cause: reason })
    expect(tokens).toEqual([0, 1, 2])
    const { usage, timings } = fault as CancelledFault
    // Tokens may have been on their way.
    expect(usage.completion_tokens).toBeGreaterThanOrEqual(3)
    expect(usage.total_tokens).toBe(usage.prompt_tokens + usage.completion_tokens)
    expect(timings?.ttftMs).toBe(0)
    await vi.waitFor(() => expect(engines[0]!.numRunning).toBe(0))
  })

  test('when it is a whole answer and its signal fires', async () => {
    const { connect, engines } = join({ beforeToken: tick })
    const engine = await connect()
    const signal = AbortSignal.timeout(10)
    const whole = engine.completions.create({ prompt: [0], max_tokens: 1e9, signal })
    await expect(whole).rejects.toMatchObject({ code: 'engine/cancelled', usage: { prompt_tokens: 1 } })
    await vi.waitFor(() => expect(engines[0]!.numRunning).toBe(0))
  })

  test('when its reader breaks out of the loop', async () => {
    const { connect, engines } = join({ beforeToken: tick })
    const engine = await connect()
    for await (const { choices } of stream(engine, 1e9)) if (choices[0]!.tokens[0] === 2) break
    await vi.waitFor(() => expect(engines[0]!.numRunning).toBe(0))
    expect(tokensOf(await collect(stream(engine, 3)))).toEqual([0, 1, 2])
  })

  test('and never begins when the signal has fired', async () => {
    const beforeToken = vi.fn()
    const engine = await join({ beforeToken }).connect()
    await expect(collect(stream(engine, 3, AbortSignal.abort()))).rejects.toMatchObject({
      name: 'AbortError',
    })
    await tick()
    expect(beforeToken).not.toHaveBeenCalled()
  })

  test('and leaves nothing on a signal that lives on', async () => {
    const engine = await join().connect()
    const { signal } = new AbortController()
    const added = vi.spyOn(signal, 'addEventListener')
    const removed = vi.spyOn(signal, 'removeEventListener')
    await collect(stream(engine, 3, signal))
    expect(removed.mock.calls.length).toBe(added.mock.calls.length)
    expect(added).toHaveBeenCalled()
  })
})

describe('a failure', () => {
  const fault = new RuntimeFault('device/lost', {
    where: 'device',
    expected: 'a',
    got: 'b',
    fix: 'C.',
    cause: new TypeError('deep', {
      cause: new RuntimeFault('plan/limit', { where: 'w', expected: 'x', got: 'y', fix: 'Z.' }),
    }),
  })

  test('arrives as the fault that it was, with its causes', async () => {
    const { connect } = join({}, () => Promise.reject(fault))
    const error = await connect().catch((error: unknown) => error)
    expect(error).toBeInstanceOf(RuntimeFault)
    expect(error).toMatchObject({
      code: 'device/lost',
      where: 'device',
      message: fault.message,
      stack: fault.stack,
    })
    const { cause } = error as RuntimeFault
    expect(cause).toMatchObject({ name: 'TypeError', message: 'deep' })
    expect((cause as Error).cause).toBeInstanceOf(RuntimeFault)
    expect((cause as Error).cause).toMatchObject({ code: 'plan/limit', where: 'w' })
    expect(last!.numLinks).toBe(0)
  })

  test('in the middle of a stream comes after the tokens before it', async () => {
    const beforeToken = (index: number): void => {
      if (index === 3) throw fault
    }
    const { connect } = join({ beforeToken })
    const engine = await connect()
    const tokens: number[] = []
    const reading = (async () => {
      for await (const { choices } of stream(engine, 9)) tokens.push(...choices[0]!.tokens)
    })()
    await expect(reading).rejects.toMatchObject({ code: 'device/lost' })
    expect(tokens).toEqual([0, 1, 2])
    expect(tokensOf(await collect(stream(engine, 2)))).toEqual([0, 1])
  })

  test.each([
    ['an error of another class', new RangeError('far'), { name: 'RangeError', message: 'far' }],
    ['a circle of causes', circle(), { message: 'round' }],
    ['an object that is no error', { message: 'from the GPU', f() {} }, { message: 'from the GPU' }],
  ])('of another kind arrives too: %s', async (_name, thrown, expected) => {
    const { connect } = join({}, () => Promise.reject(thrown))
    await expect(connect()).rejects.toMatchObject(expected)
  })

  test('of the request itself names what cannot be sent', async () => {
    const engine = await join().connect()
    const wrong = { prompt: [0], max_tokens: (() => 3) as unknown as number }
    await expect(engine.completions.create(wrong)).rejects.toMatchObject({ code: 'engine/input' })
    expect(last!.host.numRequests).toBe(0)
  })

  test('of the progress callback fails the load, as it does in the thread', async () => {
    const { connect } = join({}, async (_, { onProgress }) => {
      onProgress?.({ phase: 'ready' })
      return createNullEngine()
    })
    const onProgress = (): void => {
      throw new Error('of the page')
    }
    await expect(connect('null', { onProgress })).rejects.toThrow('of the page')
  })
})

function circle(): Error {
  const error = new Error('round')
  error.cause = error
  return error
}

describe('the end of a worker', () => {
  test.each<[string, (pair: Pair) => void]>([
    ['an error event', ({ crash }) => crash(new Error('out of luck'))],
    ['no event at all', ({ kill }) => kill()],
  ])('by %s rejects all that is open and all that follows', async (_name, end) => {
    const own = join({ beforeToken: tick })
    const engine = await own.connect()
    const open = [collect(stream(engine, 1e9)), engine.completions.create({ prompt: [0], max_tokens: 1e9 })]
    const ended = Promise.allSettled(open)
    await tick()
    await tick()
    end(own)
    for (const result of await ended) expect(result).toMatchObject({ reason: { code: 'worker/failed' } })
    await expect(engine.logits([0])).rejects.toMatchObject({ code: 'worker/failed' })
    expect(engine.memory().weights).toBe(0)
    expect(own.numLinks).toBe(0)
    await engine.dispose()
  })

  test('fails a load', async () => {
    const own = join({}, (_, { signal }) => untilAborted(signal))
    const loading = own.connect()
    await tick()
    own.crash(new Error('no such script'))
    await expect(loading).rejects.toThrow('no such script')
  })
})

describe('a worker of another version', () => {
  test('is refused by the page', async () => {
    const postMessage = (message: unknown): void => {
      const { port } = message as { port: MessagePort }
      port.postMessage({ type: 'refused', version: 99 })
    }
    const loading = join().connect('null', {}, () => ({
      postMessage,
      onFailure: () => undefined,
      close: () => undefined,
    }))
    await expect(loading).rejects.toMatchObject({ code: 'worker/protocol' })
  })

  test('refuses the page', async () => {
    const { port1, port2 } = new MessageChannel()
    const heard = new Promise((resolve) => port1.addEventListener('message', ({ data }) => resolve(data)))
    port1.start()
    join().host.onMessage({ type: 'tabhopper/connect', version: 0, port: port2 })
    expect(await heard).toEqual({ type: 'refused', version: protocolVersion })
    port1.close()
  })
})

describe('dispose', () => {
  test('ends requests, frees the engine, may be called twice, and answers nothing afterwards', async () => {
    const own = join({ beforeToken: tick })
    const engine = await own.connect()
    expect(own.numLinks).toBe(1)
    const running = collect(stream(engine, 1e9)).catch((error: unknown) => error)
    await tick()
    await Promise.all([engine.dispose(), engine.dispose()])
    await engine[Symbol.asyncDispose]()
    expect(await running).toMatchObject({ code: 'engine/disposed' })
    expect(own.engines[0]!.isDisposed).toBe(true)
    expect(own.host.numClients).toBe(0)
    expect(own.numLinks).toBe(0)
    // The worker's own is left.
    await vi.waitFor(() => expect(own.numLocks).toBe(1))
    const disposed = { code: 'engine/disposed' }
    await expect(engine.logits([0])).rejects.toMatchObject(disposed)
    await expect(collect(stream(engine, 1))).rejects.toMatchObject(disposed)
    await expect(engine.completions.create({ prompt: [0] })).rejects.toMatchObject(disposed)
  })

  test('that fails in the worker says so and lets go all the same', async () => {
    const own = join({}, async () => ({
      ...createNullEngine(),
      dispose: () => Promise.reject(new RangeError('stuck')),
    }))
    const engine = await own.connect()
    await expect(engine.dispose()).rejects.toMatchObject({ name: 'RangeError', message: 'stuck' })
    expect(own.numLinks).toBe(0)
    await vi.waitFor(() => expect(own.host.numClients).toBe(0))
  })

  test('leaves no port open', async () => {
    const openPorts = (): number =>
      process.getActiveResourcesInfo().filter((type) => type === 'MessagePort').length
    // Those of earlier tests close in their own time.
    await vi.waitFor(() => expect(openPorts()).toBe(0))
    const engine = await join().connect(memoryStore('folder', {}))
    await Promise.all(upTo(20).map((count) => collect(stream(engine, count))))
    await collect(stream(engine, 3, AbortSignal.abort())).catch(() => undefined)
    expect(openPorts()).toBeGreaterThan(0)
    await engine.dispose()
    await vi.waitFor(() => expect(openPorts()).toBe(0))
  })

  test('works without locks, and a load that fails there leaves no client', async () => {
    const own = join({}, (_, { signal }) => untilAborted(signal), false)
    const loading = own.connect('null', { signal: AbortSignal.timeout(10) })
    await vi.waitFor(() => expect(own.host.numClients).toBe(1))
    await expect(loading).rejects.toMatchObject({ name: 'AbortError' })
    await vi.waitFor(() => expect(own.host.numClients).toBe(0))
  })

  test('during a load is its signal', async () => {
    const onAbort = vi.fn()
    const own = join({}, (_, { signal }) => untilAborted(signal).finally(onAbort))
    await expect(own.connect('null', { signal: AbortSignal.timeout(10) })).rejects.toMatchObject({
      name: 'AbortError',
    })
    await vi.waitFor(() => expect(onAbort).toHaveBeenCalled())
    expect(own.numLinks).toBe(0)
  })
})

/** A load that takes until nobody wants it any more. */
function untilAborted(signal: AbortSignal | undefined): Promise<Engine> {
  return new Promise((_resolve, reject) => {
    signal?.addEventListener('abort', () => reject(signal.reason))
  })
}

describe('a store of the page', () => {
  const bytes = Uint8Array.from({ length: 1000 }, (_, index) => index)
  const read = async (store: FileStore, path: string): Promise<number[] | undefined> => {
    const source = await store.open(path)
    const slice = source && [...(await source.read(10, 5))]
    await source?.close?.()
    return slice
  }

  test('is read by the worker, its closing too', async () => {
    const log: string[] = []
    const inner = memoryStore('folder', { 'a.bin': bytes, 'b.txt': 'text' })
    const store: FileStore = {
      name: 'folder',
      async open(path) {
        const source = await inner.open(path)
        return source && { ...source, close: async () => void log.push(`close ${path}`) }
      },
    }
    const seen: unknown[] = []
    const { connect } = join({}, async (model) => {
      const remote = model as FileStore
      seen.push(remote.name, await read(remote, 'a.bin'), await readText(remote, 'b.txt', 99))
      seen.push(await remote.open('none'))
      return createNullEngine()
    })
    await connect(store)
    expect(seen).toEqual(['folder', [10, 11, 12, 13, 14], 'text', undefined])
    expect(log).toEqual(['close a.bin', 'close b.txt'])
    // Bytes are still the page's own.
    expect(await read(inner, 'a.bin')).toEqual([10, 11, 12, 13, 14])
  })

  test('fails as it does in the thread', async () => {
    const broken = new RuntimeFault('file/io', { where: 'disk', expected: 'a', got: 'b', fix: 'C.' })
    const { connect } = join({}, async (model) => {
      await (model as FileStore).open('x')
      return createNullEngine()
    })
    const opening = connect({ name: 'folder', open: () => Promise.reject(broken) })
    await expect(opening).rejects.toMatchObject({ code: 'file/io', where: 'disk' })
  })

  const never = (): Promise<never> => new Promise(() => undefined)
  const silent = { name: 'x', size: 9, read: async () => bytes.subarray(0, 1) }

  test.each<[string, FileStore]>([
    ['opening', { name: 'folder', open: never }],
    ['reading', { name: 'folder', open: async () => ({ ...silent, read: never }) }],
    ['closing', { name: 'folder', open: async () => ({ ...silent, close: never }) }],
  ])('whose page is gone does not hold up the load (%s)', async (_name, store) => {
    const { connect, closeTabs, host } = join({}, async (model, { signal }) => {
      const source = await (model as FileStore).open('x')
      try {
        await source!.read(0, 1, signal)
        return await untilAborted(signal)
      } finally {
        await source!.close!()
      }
    })
    const loading = connect(store)
    loading.catch(() => undefined)
    await vi.waitFor(() => expect(host.numRequests).toBe(1))
    await tick()
    closeTabs()
    await expect(loading).rejects.toMatchObject({ code: 'engine/cancelled' })
    await vi.waitFor(() => expect([host.numEngines, host.numClients]).toEqual([0, 0]))
  })

  test('has its files closed when the engine goes, one that is just being opened too', async () => {
    const closed: string[] = []
    let openLate = (): void => undefined
    const gate = new Promise<void>((resolve) => (openLate = resolve))
    const store: FileStore = {
      name: 'folder',
      async open(path) {
        if (path === 'late') await gate
        return { ...silent, close: async () => void closed.push(path) }
      },
    }
    let late: Promise<unknown> | undefined
    const { connect } = join({}, async (model) => {
      await (model as FileStore).open('early')
      late = (model as FileStore).open('late').catch((error: unknown) => error)
      return createNullEngine()
    })
    const engine = await connect(store)
    await engine.dispose()
    expect(await late).toMatchObject({ code: 'engine/cancelled' })
    await vi.waitFor(() => expect(closed).toEqual(['early']))
    openLate()
    await vi.waitFor(() => expect(closed).toEqual(['early', 'late']))
  })

  test('can be files, which cross as they are', async () => {
    const seen: string[] = []
    const { connect } = join({}, async (model) => {
      for (const file of model as File[]) seen.push(file.name, await file.text())
      return createNullEngine()
    })
    await connect([new File(['{}'], 'config.json'), new File(['x'], 'b')])
    expect(seen).toEqual(['config.json', '{}', 'b', 'x'])
  })
})
