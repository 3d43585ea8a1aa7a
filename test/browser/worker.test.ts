// The engine in real workers of a real browser: the same tokens as in the page, stops, sharing, frames that go away.

import { afterEach, describe, expect, test, vi } from 'vitest'
import { createEngine, type Engine, type LoadProgress, type WebEngineOptions } from '../../src/index.ts'
import { tinyLlamaFiles, tinyLlamaStore } from './tinyLlama.ts'

const sizes = { dtype: 'f32', maxSeqLen: 128, maxNumSeqs: 2, maxNumBatchedTokens: 64 } as const
const request = { prompt: 'Once upon a time', temperature: 0, max_tokens: 16 } as const
const one = { ...request, max_tokens: 1 }

const open = new Set<Engine>()
async function load(options: Partial<WebEngineOptions> = {}): Promise<Engine> {
  const engine = await createEngine({ model: await tinyLlamaStore(), ...sizes, ...options })
  open.add(engine)
  return engine
}

afterEach(async () => {
  for (const engine of open) await engine.dispose()
  open.clear()
})

async function tokensOf(engine: Engine): Promise<number[]> {
  const { choices } = await engine.completions.create(request)
  return choices[0]!.tokens
}

let expected: number[] | undefined
/** What the page itself computes; one load for all tests. */
async function greedy(): Promise<number[]> {
  expected ??= await tokensOf(await load({ worker: false }))
  return expected
}

describe('an engine in a worker', () => {
  test('gives the tokens that it gives in the page, from a store and from files', async () => {
    expect(await greedy()).toHaveLength(16)
    const phases: LoadProgress['phase'][] = []
    const engine = await load({ onProgress: ({ phase }) => phases.push(phase) })
    expect(await tokensOf(engine)).toEqual(await greedy())
    expect(phases.at(-1)).toBe('ready')
    expect(engine.memory().weights).toBeGreaterThan(3e6)
    expect(await tokensOf(await load({ model: await tinyLlamaFiles() }))).toEqual(await greedy())
  })

  test('stops in the middle of an answer and goes on with the next', async () => {
    const engine = await load()
    const abort = new AbortController()
    const stream = engine.completions.create({
      prompt: request.prompt,
      max_tokens: 100,
      stream: true,
      signal: abort.signal,
    })
    let numChunks = 0
    const reading = (async () => {
      for await (const _ of stream) if (++numChunks === 3) abort.abort()
    })()
    await expect(reading).rejects.toMatchObject({ name: 'AbortError' })
    expect(numChunks).toBe(3)
    expect(await tokensOf(engine)).toEqual(await greedy())
  })

  test('that a template keeps busy for ever ends with dispose', async () => {
    const endless = '{% for a in range(1000000) %}{% for b in range(1000000) %}{% endfor %}{% endfor %}'
    const engine = await load({ model: await tinyLlamaStore({ 'chat_template.jinja': endless }) })
    const chat = engine.chat.completions.create({ messages: [{ role: 'user', content: 'Hi' }] })
    const refusal = chat.catch((error: unknown) => error)
    const begin = performance.now()
    await engine.dispose()
    expect(await refusal).toMatchObject({ code: 'engine/disposed' })
    expect(performance.now() - begin).toBeLessThan(20_000)
    expect(engine.memory().weights).toBe(0)
  })

  test('is not started for what is no model', async () => {
    const model = {} as WebEngineOptions['model']
    await expect(load({ model })).rejects.toMatchObject({ code: 'engine/input', where: 'model' })
  })

  test('reports what went wrong as it does in the page', async () => {
    const engine = await load()
    const wrong = engine.completions.create({ prompt: [1e6] })
    await expect(wrong).rejects.toMatchObject({ name: 'RuntimeFault', code: 'engine/input' })
    const loading = createEngine({ model: [new File(['{}'], 'readme.md')] })
    await expect(loading).rejects.toMatchObject({ code: 'weights/missing' })
  })

  test('tells of a worker that cannot be started', async () => {
    const worker = (): Worker => new Worker('/no-such-worker.js', { type: 'module' })
    await expect(load({ worker })).rejects.toMatchObject({ code: 'worker/failed' })
  })

  test('tells of workers that there are not', async () => {
    const worker = (): Worker => {
      throw new ReferenceError('SharedWorker is not defined')
    }
    await expect(load({ worker })).rejects.toMatchObject({ code: 'worker/failed' })
  })

  test('tells of a given worker that ends', async () => {
    const worker = new Worker(new URL('../../src/worker.ts', import.meta.url), { type: 'module' })
    const engine = await load({ worker })
    const running = engine.completions.create({ prompt: request.prompt, max_tokens: 100 })
    worker.terminate()
    await expect(running).rejects.toMatchObject({ code: 'worker/failed' })
  })
})

describe('an injected device', () => {
  test('computes the same tokens and stays its owner’s', async () => {
    const adapter = await navigator.gpu.requestAdapter()
    const device = await adapter!.requestDevice()
    const engine = await load({ device })
    const errors: string[] = []
    device.addEventListener('uncapturederror', ({ error }) => errors.push(error.message))
    device.createBuffer({
      label: 'blunder',
      size: 16,
      usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.STORAGE,
    })
    // Chromium keeps calls back until there is something to wait for.
    await device.queue.onSubmittedWorkDone()
    await vi.waitFor(() => expect(errors).toEqual([expect.stringContaining('blunder')]))
    // Nor does an error of the owner's disturb it.
    expect(await tokensOf(engine)).toEqual(await greedy())
    expect(errors).toHaveLength(1)
    await engine.dispose()
    const buffer = device.createBuffer({ size: 16, usage: GPUBufferUsage.MAP_READ })
    await buffer.mapAsync(GPUMapMode.READ)
    device.destroy()
  })

  test('does not go to a worker', async () => {
    const device = {} as GPUDevice
    await expect(load({ device, worker: true })).rejects.toMatchObject({ code: 'engine/input' })
  })
})

/** An engine of another document of this origin, as another tab has one. */
async function loadInFrame(): Promise<{ frame: HTMLIFrameElement; engine: Engine }> {
  const frame = document.createElement('iframe')
  frame.src = '/test/browser/frame.html'
  document.body.append(frame)
  const create = await new Promise<typeof createEngine>((resolve) =>
    addEventListener('message', ({ source }) => {
      if (source === frame.contentWindow)
        resolve((source as unknown as { createEngine: typeof createEngine }).createEngine)
    }),
  )
  const engine = await create({ model: await tinyLlamaFiles(), ...sizes, worker: 'shared' })
  return { frame, engine }
}

describe('a shared worker', () => {
  test('serves two documents with one engine, and one going away does not disturb the other', async () => {
    const engine = await load({ model: await tinyLlamaFiles(), worker: 'shared' })
    const { frame, engine: other } = await loadInFrame()
    const [mine, theirs] = await Promise.all([tokensOf(engine), tokensOf(other)])
    expect([mine, theirs]).toEqual([await greedy(), await greedy()])
    // One engine numbers the answers of both.
    const ids = [await engine.completions.create(one), await other.completions.create(one)].map(
      ({ id }) => id,
    )
    expect(ids).toEqual(['cmpl-2', 'cmpl-3'])
    void other.completions.create({ prompt: request.prompt, max_tokens: 100 }).catch(() => undefined)
    frame.remove()
    expect(await tokensOf(engine)).toEqual(await greedy())
  })
})
