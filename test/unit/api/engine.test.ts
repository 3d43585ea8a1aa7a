// The public engine over a small real model on the reference device: shapes, limits, seeds, streams, cancellation,
// bad requests and the end of it all.

import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { CancelledFault } from '../../../src/api/cancelledFault.ts'
import { createEngineOn, openModelStore } from '../../../src/api/model.ts'
import type { CompletionRequest, Engine, LoadProgress } from '../../../src/api/types.ts'
import { createReferenceDevice } from '../../../src/device/reference/reference.ts'
import { directoryStore } from '../../../src/node/directoryStore.ts'
import { fixturesDir } from '../../helpers/dirs.ts'
import { readGolden } from '../../helpers/golden.ts'
import { expectRising, phaseRuns } from '../../helpers/progress.ts'
import { collect, greedy, openEngine, prompt, slowDevice, textOf } from './models.ts'

const wait = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

let engine: Engine
beforeAll(async () => {
  engine = await openEngine()
})
afterAll(() => engine.dispose())

async function tokensOf(request: Partial<CompletionRequest>, on: Engine = engine): Promise<number[]> {
  const { choices } = await on.completions.create({ prompt, max_tokens: 20, ...request, stream: false })
  return choices[0]!.tokens
}

describe('a completion', () => {
  test('has the tokens of PyTorch, their text, the usage and why it ended', async () => {
    const completion = await engine.completions.create({ prompt, max_tokens: 16, temperature: 0 })
    expect(completion).toMatchObject({
      object: 'text_completion',
      model: 'gqa',
      choices: [{ index: 0, text: textOf(greedy), tokens: greedy, finish_reason: 'length' }],
      usage: { prompt_tokens: 7, completion_tokens: 16, total_tokens: 23 },
    })
    expect(completion.id).toMatch(/^cmpl-\d+$/)
    expect(Math.abs(completion.created - Date.now() / 1000)).toBeLessThan(60)
  })

  test('says how long it took', async () => {
    const before = performance.now()
    const { timings } = await engine.completions.create({ prompt, max_tokens: 6, temperature: 0 })
    const totalMs = performance.now() - before
    expect(timings.ttftMs).toBeGreaterThan(0)
    expect(timings.ttftMs + 5 * timings.tpotMs!).toBeLessThanOrEqual(totalMs)
    expect(timings.prefillTokensPerSecond).toBeCloseTo(7000 / timings.ttftMs)
    expect(timings.decodeTokensPerSecond).toBeCloseTo(1000 / timings.tpotMs!)
    const one = await engine.completions.create({ prompt, max_tokens: 1, temperature: 0 })
    expect(one.timings).toMatchObject({ tpotMs: undefined, decodeTokensPerSecond: undefined })
  })

  test('of a text is that of its tokens', async () => {
    const text = await engine.completions.create({ prompt: textOf(prompt), max_tokens: 16, temperature: 0 })
    expect(text.choices[0]!.tokens).toEqual(greedy)
    expect(text.usage.prompt_tokens).toBe(7)
  })

  test('takes what the context leaves unless max_tokens says less', async () => {
    expect(await tokensOf({ temperature: 0, max_tokens: 1 })).toEqual(greedy.slice(0, 1))
    const { choices, usage } = await engine.completions.create({ prompt, temperature: 0 })
    // The last token of a full sequence is sampled and never fed back.
    expect(usage.completion_tokens).toBe(64 - 7 + 1)
    expect(choices[0]!.finish_reason).toBe('length')
    expect(await tokensOf({ temperature: 0, max_tokens: 1e9 })).toEqual(choices[0]!.tokens)
  })

  test('ends at the token that ends a text, which is counted but not shown', async () => {
    await using stopping = await openEngine({ eos: greedy[2]! })
    const { choices, usage } = await stopping.completions.create({ prompt, temperature: 0, max_tokens: 16 })
    expect(choices[0]).toMatchObject({ text: textOf(greedy.slice(0, 2)), finish_reason: 'stop' })
    expect(usage.completion_tokens).toBe(3)
  })

  test.each([
    ['one string', textOf(greedy.slice(3, 6))],
    ['the first of several', ['~', textOf(greedy.slice(6, 8)), textOf(greedy.slice(3, 5))]],
  ])('ends at a stop string (%s), which is not shown', async (_name, stop) => {
    const { choices } = await engine.completions.create({ prompt, temperature: 0, max_tokens: 16, stop })
    expect(choices[0]).toMatchObject({ text: textOf(greedy.slice(0, 3)), finish_reason: 'stop' })
  })

  test.each([['~'], [''], [[]]])('does not end at a stop string that does not come (%j)', async (stop) => {
    const { choices } = await engine.completions.create({ prompt, temperature: 0, max_tokens: 16, stop })
    expect(choices[0]).toMatchObject({ text: textOf(greedy), finish_reason: 'length' })
  })

  test('without a tokenizer has tokens and no text', async () => {
    await using bare = await openEngine({ hasTokenizer: false })
    const { choices } = await bare.completions.create({ prompt, temperature: 0, max_tokens: 16 })
    expect(choices[0]).toMatchObject({ text: '', tokens: greedy })
    const text = bare.completions.create({ prompt: 'A' })
    await expect(text).rejects.toMatchObject({ code: 'text/tokenizer' })
  })
})

describe('sampling', () => {
  test('with the same seed gives the same tokens, with another seed others', async () => {
    const first = await tokensOf({ temperature: 1, seed: 1 })
    expect(await tokensOf({ temperature: 1, seed: 1 })).toEqual(first)
    expect(await tokensOf({ temperature: 1, seed: 2 })).not.toEqual(first)
  })

  test('uses every bit of a seed', async () => {
    const seeds = [5, 5 + 2 ** 32, 5 + 2 ** 52, Number.MAX_SAFE_INTEGER]
    const texts = await Promise.all(seeds.map((seed) => tokensOf({ temperature: 1, seed })))
    expect(new Set(texts.map(String)).size).toBe(seeds.length)
  })

  test('without a seed differs from call to call', async () => {
    expect(await tokensOf({ temperature: 1 })).not.toEqual(await tokensOf({ temperature: 1 }))
  })

  test('is at temperature 0.7 unless asked otherwise', async () => {
    const byDefault = await tokensOf({ seed: 3 })
    expect(byDefault).toEqual(await tokensOf({ seed: 3, temperature: 0.7 }))
    expect(byDefault).not.toEqual(await tokensOf({ seed: 3, temperature: 2 }))
  })

  test('at temperature 0 needs no seed', async () => {
    expect(await tokensOf({ temperature: 0, max_tokens: 16, seed: 9 })).toEqual(greedy)
  })
})

describe('a stream', () => {
  const request = { prompt, temperature: 0, max_tokens: 16 } as const

  test('of a completion joins to the whole one, and ends with usage', async () => {
    const whole = await engine.completions.create(request)
    const chunks = await collect(engine.completions.create({ ...request, stream: true }))
    const choices = chunks.flatMap((chunk) => chunk.choices)
    expect(choices.map(({ text }) => text).join('')).toBe(whole.choices[0]!.text)
    expect(choices.flatMap(({ tokens }) => tokens)).toEqual(greedy)
    expect(choices.map((choice) => choice.finish_reason).filter((reason) => reason !== null)).toEqual([
      'length',
    ])
    expect(choices.at(-1)!.finish_reason).toBe('length')
    expect(chunks.at(-1)).toMatchObject({ choices: [], usage: whole.usage })
    expect(chunks.at(-1)!.timings).toBeDefined()
    expect(new Set(chunks.map(({ id }) => id)).size).toBe(1)
    expect(chunks.every(({ object }) => object === 'text_completion')).toBe(true)
  })

  test('with a stop string joins to the whole one', async () => {
    const stopping = { ...request, stop: textOf(greedy.slice(3, 6)) }
    const whole = await engine.completions.create(stopping)
    const chunks = await collect(engine.completions.create({ ...stopping, stream: true }))
    expect(chunks.flatMap(({ choices }) => choices.map(({ text }) => text)).join('')).toBe(
      whole.choices[0]!.text,
    )
    expect(chunks.at(-1)!.usage).toEqual(whole.usage)
  })

  test('gives a token before the last one is computed', async () => {
    const { device, numSteps } = slowDevice()
    await using slow = await openEngine({ device })
    const steps: number[] = []
    for await (const { choices } of slow.completions.create({ ...request, stream: true })) {
      if (choices[0]?.tokens.length === 1) steps.push(numSteps())
    }
    expect(steps).toHaveLength(16)
    expect(steps[0]).toBeLessThan(4)
    expect(steps[8]).toBeLessThan(12)
  })

  test('that is left ends its sequence within a step', async () => {
    const { device, numSteps } = slowDevice()
    await using slow = await openEngine({ device })
    for await (const { choices } of slow.completions.create({ prompt, stream: true })) {
      expect(choices).toHaveLength(1)
      break
    }
    const before = numSteps()
    await wait(40)
    expect(numSteps() - before).toBeLessThanOrEqual(1)
    expect(await tokensOf({ temperature: 0, max_tokens: 16 }, slow)).toEqual(greedy)
  })

  test('that is asked for and never read computes nothing', async () => {
    const { device, numSteps } = slowDevice()
    await using slow = await openEngine({ device })
    slow.completions.create({ prompt, stream: true })
    await wait(20)
    expect(numSteps()).toBe(0)
  })
})

describe('a chat', () => {
  const request = {
    messages: [
      { role: 'system', content: 'BE BRIEF' },
      { role: 'user', content: 'HELLO' },
    ],
    temperature: 0,
    max_tokens: 8,
  } as const
  const rendered = 'SYSTEM: BE BRIEF\nUSER: HELLO\nASSISTANT:'

  test('is the completion of its rendered template', async () => {
    const chat = await engine.chat.completions.create(request)
    const text = await engine.completions.create({ prompt: rendered, temperature: 0, max_tokens: 8 })
    expect(chat).toMatchObject({
      object: 'chat.completion',
      model: 'gqa',
      choices: [
        {
          index: 0,
          message: { role: 'assistant', content: text.choices[0]!.text },
          finish_reason: 'length',
        },
      ],
      usage: { prompt_tokens: rendered.length, completion_tokens: 8, total_tokens: rendered.length + 8 },
    })
    expect(chat.id).toMatch(/^chatcmpl-\d+$/)
  })

  test('streams its role, its text, why it ended and its usage, in this order', async () => {
    const whole = await engine.chat.completions.create(request)
    const chunks = await collect(engine.chat.completions.create({ ...request, stream: true }))
    expect(chunks[0]!.choices[0]!.delta).toEqual({ role: 'assistant' })
    expect(chunks.map(({ choices }) => choices[0]?.delta.content ?? '').join('')).toBe(
      whole.choices[0]!.message.content,
    )
    expect(chunks.at(-2)!.choices).toEqual([{ index: 0, delta: {}, finish_reason: 'length' }])
    expect(chunks.at(-1)).toMatchObject({ choices: [], usage: whole.usage })
    expect(chunks.every(({ object }) => object === 'chat.completion.chunk')).toBe(true)
  })

  test('needs a tokenizer and a template', async () => {
    await using bare = await openEngine({ hasTokenizer: false })
    await expect(bare.chat.completions.create(request)).rejects.toMatchObject({ code: 'text/tokenizer' })
    await using plain = await openEngine({ chatTemplate: '' })
    await expect(plain.chat.completions.create(request)).rejects.toMatchObject({ code: 'text/template' })
    await expect(collect(plain.chat.completions.create({ ...request, stream: true }))).rejects.toMatchObject({
      code: 'text/template',
    })
  })
})

describe('tokens', () => {
  const messages = [{ role: 'user', content: 'HELLO' }] as const

  test('are counted as a request has them', async () => {
    const { device, numSteps } = slowDevice()
    await using slow = await openEngine({ device })
    expect(await slow.countTokens('HELLO')).toBe(5)
    expect(await slow.countTokens(messages)).toBe('USER: HELLO\nASSISTANT:'.length)
    expect(await slow.countTokens('A'.repeat(1000))).toBe(1000)
    expect(numSteps()).toBe(0)
    const { usage } = await slow.chat.completions.create({ messages, max_tokens: 1 })
    expect(usage.prompt_tokens).toBe(await slow.countTokens(messages))
  })

  test('cannot be counted without a tokenizer or a template, after an abort, or by a disposed engine', async () => {
    await using without = await openEngine({ hasTokenizer: false })
    await expect(without.countTokens('A')).rejects.toMatchObject({ code: 'text/tokenizer' })
    const untemplated = await openEngine({ chatTemplate: '' })
    await expect(untemplated.countTokens(messages)).rejects.toMatchObject({ code: 'text/template' })
    const signal = AbortSignal.abort()
    await expect(untemplated.countTokens('A', { signal })).rejects.toMatchObject({ name: 'AbortError' })
    await untemplated.dispose()
    await expect(untemplated.countTokens('A')).rejects.toMatchObject({ code: 'engine/disposed' })
  })
})

describe('a request that cannot be', () => {
  test.each<[string, Partial<CompletionRequest>, string]>([
    ['max_tokens 0', { max_tokens: 0 }, 'engine/input'],
    ['max_tokens -1', { max_tokens: -1 }, 'engine/input'],
    ['max_tokens 1.5', { max_tokens: 1.5 }, 'engine/input'],
    ['max_tokens NaN', { max_tokens: NaN }, 'engine/input'],
    ['temperature -0.1', { temperature: -0.1 }, 'engine/input'],
    ['temperature NaN', { temperature: NaN }, 'engine/input'],
    ['temperature Infinity', { temperature: Infinity }, 'engine/input'],
    ['seed -1', { seed: -1 }, 'engine/input'],
    ['seed 0.5', { seed: 0.5 }, 'engine/input'],
    ['seed 2^53', { seed: 2 ** 53 }, 'engine/input'],
    ['no prompt', { prompt: [] }, 'engine/context'],
    ['an empty text', { prompt: '' }, 'engine/context'],
    ['a prompt of 65 tokens', { prompt: Array.from({ length: 65 }, () => 1) }, 'engine/context'],
    ['a token beyond the vocabulary', { prompt: [96] }, 'engine/input'],
    ['a text beyond the vocabulary', { prompt: 'a' }, 'engine/input'],
    ['a negative token', { prompt: [-1] }, 'engine/input'],
    ['half a token', { prompt: [0.5] }, 'engine/input'],
  ])('(%s) faults, whole and streamed, and says where', async (_name, wrong, code) => {
    const request = { prompt, max_tokens: 2, temperature: 0, ...wrong }
    await expect(engine.completions.create({ ...request, stream: false })).rejects.toMatchObject({ code })
    const stream = collect(engine.completions.create({ ...request, stream: true }))
    await expect(stream).rejects.toMatchObject({ name: 'RuntimeFault', code, where: expect.any(String) })
  })

  test.each<[string, Partial<CompletionRequest>]>([
    ['max_tokens 1', { max_tokens: 1 }],
    ['temperature 0', { temperature: 0 }],
    ['a high temperature', { temperature: 100 }],
    ['seed 0', { seed: 0 }],
    ['the largest seed', { seed: Number.MAX_SAFE_INTEGER }],
    ['a prompt of one token', { prompt: [95] }],
    ['a prompt of 64 tokens', { prompt: Array.from({ length: 64 }, () => 1) }],
  ])('is none at its border (%s)', async (_name, right) => {
    expect((await tokensOf({ max_tokens: 2, ...right })).length).toBeGreaterThan(0)
  })
})

describe('a signal', () => {
  test('that has fired rejects with an AbortError before a step', async () => {
    const { device, numSteps } = slowDevice()
    await using slow = await openEngine({ device })
    const request = { prompt, signal: AbortSignal.abort() }
    const expected = { name: 'AbortError', code: 'engine/cancelled' }
    await expect(slow.completions.create(request)).rejects.toMatchObject(expected)
    await expect(collect(slow.completions.create({ ...request, stream: true }))).rejects.toMatchObject(
      expected,
    )
    await expect(
      slow.chat.completions.create({
        messages: [{ role: 'user', content: 'A' }],
        signal: AbortSignal.abort(),
      }),
    ).rejects.toMatchObject(expected)
    await expect(slow.logits([1, 2], { signal: AbortSignal.abort() })).rejects.toMatchObject(expected)
    expect(numSteps()).toBe(0)
  })

  test('that fires later rejects with its reason as cause and stops the steps', async () => {
    const { device, numSteps } = slowDevice()
    await using slow = await openEngine({ device })
    const abort = new AbortController()
    const reason = new Error('the user left')
    const whole = slow.completions.create({ prompt, temperature: 0, signal: abort.signal })
    setTimeout(() => abort.abort(reason), 15)
    await expect(whole).rejects.toMatchObject({ name: 'AbortError', code: 'engine/cancelled', cause: reason })
    const before = numSteps()
    expect(before).toBeGreaterThan(0)
    await wait(30)
    expect(numSteps() - before).toBeLessThanOrEqual(1)
  })

  test('that ends a stream leaves it to the fault to tell what was used', async () => {
    const { device } = slowDevice()
    await using slow = await openEngine({ device })
    const abort = new AbortController()
    const tokens: number[] = []
    const request = { prompt, temperature: 0, signal: abort.signal, stream: true } as const
    const reading = (async () => {
      for await (const { choices } of slow.completions.create(request)) {
        if (tokens.push(...choices[0]!.tokens) === 3) abort.abort('enough')
      }
    })()
    const fault = await reading.catch((error: unknown) => error)
    expect(fault).toBeInstanceOf(CancelledFault)
    expect(fault).toMatchObject({ name: 'AbortError', code: 'engine/cancelled', cause: 'enough' })
    const { usage, timings } = fault as CancelledFault
    expect(tokens).toEqual(greedy.slice(0, tokens.length))
    expect(usage).toEqual({
      prompt_tokens: prompt.length,
      completion_tokens: tokens.length,
      total_tokens: prompt.length + tokens.length,
    })
    expect(timings!.ttftMs).toBeGreaterThan(0)
    expect(timings!.decodeTokensPerSecond).toBeGreaterThan(0)
  })

  test('that fires before the first token tells of no times', async () => {
    const { device } = slowDevice()
    await using slow = await openEngine({ device })
    const whole = slow.completions.create({ prompt, signal: AbortSignal.timeout(1) })
    const usage = { prompt_tokens: prompt.length, completion_tokens: 0, total_tokens: prompt.length }
    await expect(whole).rejects.toMatchObject({ usage, timings: undefined })
  })

  test('that never fires changes nothing', async () => {
    const { signal } = new AbortController()
    expect(await tokensOf({ temperature: 0, max_tokens: 16, signal })).toEqual(greedy)
  })
})

describe('the engine', () => {
  test('says what it is', () => {
    expect(engine).toMatchObject({ model: 'gqa', dtype: 'f32', vocabSize: 96, maxSeqLen: 64 })
    expect(engine.adapter.device).toBe('reference')
    expect(engine.memory().weights).toBeGreaterThan(0)
  })

  test('with dynamic rope serves the original length unless asked for more: there it is as PyTorch has it', async () => {
    const model = await openModelStore(directoryStore(`${fixturesDir}/golden/llama/dynamic`))
    const { prompts } = await readGolden('dynamic')
    await using plain = await createEngineOn(createReferenceDevice(), model, { dtype: 'f32' })
    expect(plain.maxSeqLen).toBe(64)
    for (const { tokens, greedy } of prompts.filter(({ tokens }) => tokens.length < 64)) {
      const request = { prompt: tokens, max_tokens: greedy.length, temperature: 0 }
      expect((await plain.completions.create(request)).choices[0]!.tokens).toEqual(greedy)
    }
    await using longer = await createEngineOn(createReferenceDevice(), model, {
      dtype: 'f32',
      maxSeqLen: 256,
    })
    expect(longer.maxSeqLen).toBe(256)
    const more = createEngineOn(createReferenceDevice(), model, { maxSeqLen: 257 })
    await expect(more).rejects.toMatchObject({ code: 'engine/input', where: 'maxSeqLen' })
  })

  test('serves calls of all kinds at once', async () => {
    const [a, b, c, d] = await Promise.all([
      tokensOf({ temperature: 0, max_tokens: 16 }),
      engine.logits([...prompt, ...greedy.slice(0, -1)]),
      collect(engine.completions.create({ prompt, temperature: 0, max_tokens: 16, stream: true })),
      engine.chat.completions.create({ messages: [{ role: 'user', content: 'A' }], max_tokens: 3 }),
    ])
    expect(a).toEqual(greedy)
    // What the logits are largest at is what was generated.
    expect(b.logits.slice(6).map((row) => row.indexOf(Math.max(...row)))).toEqual(greedy)
    expect(c.flatMap(({ choices }) => choices.flatMap(({ tokens }) => tokens))).toEqual(greedy)
    expect(d.usage.completion_tokens).toBeGreaterThan(0)
  })

  test('can be disposed of twice, frees everything, and answers nothing afterwards', async () => {
    const { device } = slowDevice()
    const own = await openEngine({ device })
    const running = own.completions.create({ prompt, temperature: 0 }).catch((error: unknown) => error)
    await wait(10)
    await Promise.all([own.dispose(), own.dispose()])
    await own.dispose()
    await own[Symbol.asyncDispose]()
    expect(own.memory()).toEqual({ weights: 0, states: 0, arena: 0, step: 0, readback: 0 })
    const disposed = { code: 'engine/disposed' }
    expect(await running).toMatchObject(disposed)
    await expect(own.completions.create({ prompt })).rejects.toMatchObject(disposed)
    await expect(collect(own.completions.create({ prompt, stream: true }))).rejects.toMatchObject(disposed)
    await expect(own.logits([1])).rejects.toMatchObject(disposed)
    await expect(device.lost).resolves.toMatchObject({ reason: 'destroyed' })
  })

  test.each([
    ['maxSeqLen', 129],
    ['maxSeqLen', 0],
    ['maxSeqLen', 1.5],
    ['maxNumSeqs', 0],
    ['maxNumSeqs', 257],
    ['maxNumBatchedTokens', 0],
    ['maxNumBatchedTokens', 65_536],
  ])('refuses %s %d', async (option, value) => {
    const opening = openEngine({ options: { [option]: value } })
    await expect(opening).rejects.toMatchObject({ code: 'engine/input', where: option })
  })

  test.each([
    ['maxSeqLen', 128],
    ['maxNumSeqs', 1],
    ['maxNumSeqs', 256],
    ['maxNumBatchedTokens', 1],
  ])('takes %s %d', async (option, value) => {
    await using own = await openEngine({ options: { [option]: value } })
    expect(await tokensOf({ temperature: 0, max_tokens: 3 }, own)).toEqual(greedy.slice(0, 3))
  })

  test('reports progress in order and ends with ready', async () => {
    const seen: LoadProgress[] = []
    const options = { warmUp: true, onProgress: (progress: LoadProgress) => void seen.push(progress) }
    await using own = await openEngine({ options })
    expect(own.model).toBe('gqa')
    expect(phaseRuns(seen)).toEqual(['upload', 'warm-up', 'ready'])
    expectRising(seen)
    const lastOf = (phase: LoadProgress['phase']) => seen.findLast((progress) => progress.phase === phase)
    expect(lastOf('warm-up')).toEqual({ phase: 'warm-up', done: 3, total: 3 })
  })
})
