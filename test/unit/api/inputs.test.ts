// What callers in JavaScript may pass: every field of a wrong type is engine/input and says which, in the thread and through
// a worker; null is as left out. Ranges are in engine.test.ts.

import { afterAll, describe, expect, test, vi } from 'vitest'
import { checkLoadOptions } from '../../../src/api/loadOptions.ts'
import type {
  ChatCompletionRequest,
  ChatMessage,
  CompletionRequest,
  Engine,
  ModelSource,
} from '../../../src/api/types.ts'
import { shown } from '../../../src/core/values.ts'
import { createEngine } from '../../../src/index.ts'
import { createEngine as createNodeEngine } from '../../../src/node.ts'
import { pair } from '../worker/pairs.ts'
import { collect, greedy, openEngine, prompt } from './models.ts'

const { connect, closeTabs } = pair({}, (_, options) => openEngine({ options }))
const local = await openEngine()
const remote = await connect('gqa', { dtype: 'f32', maxSeqLen: 64 })
const places: [string, Engine][] = [
  ['in the thread', local],
  ['through a worker', remote],
]
afterAll(async () => {
  await remote.dispose()
  await local.dispose()
  closeTabs()
})

const sparse = Object.assign([], { 0: 1, 2: 3, length: 3 })
const wrongOptions: [string, unknown][] = [
  ['temperature', '0.5'],
  ['temperature', [1]],
  ['top_k', '4'],
  ['top_p', true],
  ['min_p', '0'],
  ['repetition_penalty', {}],
  ['presence_penalty', 'a'],
  ['frequency_penalty', []],
  ['seed', '1'],
  ['seed', 1n],
  ['max_tokens', '5'],
  ['max_tokens', true],
  ['max_completion_tokens', '5'],
  ['max_completion_tokens', 0],
  // Beside max_tokens of 1.
  ['max_completion_tokens', 2],
  ['logit_bias', 'abc'],
  ['logit_bias', [1, 2]],
  ['logit_bias', 5],
  ['stop', 5],
  ['stop', { 0: 'a' }],
  ['stop', ['a', 5]],
  ['stop', ['a', undefined]],
  ['stop', ['a', null]],
  ['stop', sparse],
]
const wrongPrompts: [string, unknown][] = [
  ['prompt', undefined],
  ['prompt', null],
  ['prompt', 5],
  ['prompt', { 0: 1, length: 1 }],
  ['prompt', ['A']],
  ['prompt', [1, undefined, 3]],
  ['prompt', [1, null]],
  ['prompt', [1n]],
  ['prompt', sparse],
  ['prompt', Float32Array.of(1, 0.5)],
]
const part = (text: string): object => ({ type: 'text', text })
const user = { role: 'user', content: 'A' }
const wrongMessages: [string, unknown][] = [
  ['messages', undefined],
  ['messages', 'A'],
  ['messages', user],
  ['messages', []],
  ['messages[0]', [null]],
  ['messages[1]', [user, 'A']],
  ['messages[0].role', [{ content: 'A' }]],
  ['messages[0].role', [{ role: 5, content: 'A' }]],
  ['messages[0].role', [{ role: 'robot', content: 'A' }]],
  ['messages[1].role', [user, { role: 'User', content: 'A' }]],
  ['messages[0].content', [{ role: 'user' }]],
  ['messages[0].content', [{ role: 'user', content: 5 }]],
  ['messages[0].content', [{ role: 'assistant', tool_calls: null }]],
  ['messages[0].content', [{ role: 'assistant', content: 5, tool_calls: [] }]],
  ['messages[1].content[0]', [user, { role: 'user', content: ['A'] }]],
  ['messages[0].content[0]', [{ role: 'user', content: sparse }]],
  ['messages[0].content[1]', [{ role: 'user', content: [part('A'), { type: 'image_url', image_url: {} }] }]],
  ['messages[0].content[0]', [{ role: 'assistant', content: [{ type: 'refusal', refusal: 'A' }] }]],
  ['messages[0].content[1].text', [{ role: 'user', content: [part('A'), { type: 'text' }] }]],
]

/** Fields of OpenAI and others that would change an answer, and what they may be since that changes nothing. */
const unsupported: [field: string, refused: unknown, harmless: unknown][] = [
  ['n', 2, 1],
  ['best_of', 3, 1],
  ['logprobs', true, false],
  ['logprobs', 0, null],
  ['top_logprobs', 5, 0],
  ['echo', true, false],
  ['suffix', 'The end.', ''],
  ['tools', [{ type: 'function', function: { name: 'a' } }], []],
  ['tool_choice', 'required', 'auto'],
  ['functions', [{ name: 'a' }], []],
  ['function_call', { name: 'a' }, 'none'],
  ['response_format', { type: 'json_object' }, { type: 'text' }],
  ['response_format', 'text', undefined],
  ['modalities', ['text', 'audio'], ['text']],
  ['audio', { voice: 'a' }, null],
  ['reasoning_effort', 'high', 'none'],
  ['verbosity', 'low', 'medium'],
  ['web_search_options', {}, null],
]
const unknown: [field: string, near: string | undefined][] = [
  ['temprature', 'temperature'],
  ['topK', 'top_k'],
  ['maxTokens', 'max_tokens'],
  ['max_new_tokens', 'max_tokens'],
  ['stops', 'stop'],
  ['grammar', undefined],
  ['k', undefined],
]
const ignored = {
  model: 'gpt-4o',
  user: 'a',
  stream_options: { include_usage: true },
  metadata: { a: 'b' },
  store: false,
  service_tier: 'auto',
  safety_identifier: 'a',
  prompt_cache_key: 'a',
  parallel_tool_calls: true,
  prediction: { type: 'content', content: 'A' },
  anything: undefined,
  nothing: null,
}

describe.each(places)('%s', (_place, engine) => {
  const refused = { name: 'RuntimeFault', code: 'engine/input' }

  test.each([...wrongOptions, ...wrongPrompts])('%s cannot be %o', async (where, value) => {
    const request = { prompt, max_tokens: 1, [where]: value } as CompletionRequest
    const streamed = collect(engine.completions.create({ ...request, stream: true }))
    await expect(streamed).rejects.toMatchObject({ ...refused, where })
    await expect(engine.completions.create(request)).rejects.toMatchObject({ ...refused, where })
  })

  test.each([...wrongOptions, ...wrongMessages])('%s of a chat cannot be %o', async (where, value) => {
    const field = where.replace(/\[.*/, '')
    const request = { messages: [user], max_tokens: 1, [field]: value } as unknown as ChatCompletionRequest
    const streamed = collect(engine.chat.completions.create({ ...request, stream: true }))
    await expect(streamed).rejects.toMatchObject({ ...refused, where })
    await expect(engine.chat.completions.create(request)).rejects.toMatchObject({ ...refused, where })
  })

  test.each(['system', 'developer', 'user', 'assistant', 'tool'])('%s is a role', async (role) => {
    expect(await engine.countTokens([{ role, content: 'A' }])).toBe(`${role}: A\nASSISTANT:`.length)
  })

  test.each([[['A', 'B']], [[[1, 2], [3]]]])('%j are several prompts', async (prompt) => {
    const asked = engine.completions.create({ prompt: prompt as unknown as string })
    await expect(asked).rejects.toMatchObject({ ...refused, where: 'prompt' })
    await expect(asked).rejects.toThrow('Make a request for each prompt: several in one are not supported.')
  })

  test.each(unsupported)('%s of %j is refused, of %j taken', async (field, wrong, harmless) => {
    const asked = { prompt, temperature: 0, max_tokens: 2 }
    const answering = engine.completions.create({ ...asked, [field]: wrong })
    await expect(answering).rejects.toMatchObject({ ...refused, where: field })
    await expect(answering).rejects.toThrow(`got ${shown(wrong)}. Leave ${field} out: it is not supported.`)
    const chat = { messages: [user], max_tokens: 1, [field]: wrong } as unknown as ChatCompletionRequest
    await expect(engine.chat.completions.create(chat)).rejects.toMatchObject({ ...refused, where: field })
    const { choices } = await engine.completions.create({ ...asked, [field]: harmless })
    expect(choices[0]!.tokens).toEqual(greedy.slice(0, 2))
  })

  test.each(unknown)('%s is no field: %s may be meant', async (field, near) => {
    const fix = near === undefined ? `Leave ${field} out.` : `Write ${near}, or leave ${field} out.`
    const answering = engine.completions.create({ prompt, [field]: 1 })
    await expect(answering).rejects.toMatchObject({ ...refused, where: field })
    await expect(answering).rejects.toThrow(`expected a field of a request, got an unknown one. ${fix}`)
    expect(() => engine.completions.create({ prompt, stream: true, [field]: 1 })).toThrow(fix)
  })

  test('a chat has no prompt, and a completion no messages', async () => {
    const chat = { messages: [user], prompt } as unknown as ChatCompletionRequest
    await expect(engine.chat.completions.create(chat)).rejects.toMatchObject({ ...refused, where: 'prompt' })
    const text = { messages: [user], prompt } as unknown as CompletionRequest
    await expect(engine.completions.create(text)).rejects.toMatchObject({ ...refused, where: 'messages' })
  })

  test('what clients send and what changes no answer is ignored', async () => {
    const { choices } = await engine.completions.create({ ...ignored, prompt, temperature: 0, max_tokens: 2 })
    expect(choices[0]!.tokens).toEqual(greedy.slice(0, 2))
    const request = { ...ignored, messages: [user], max_tokens: 1, stream: true } as const
    expect(await collect(engine.chat.completions.create(request))).not.toEqual([])
  })

  test.each<[string, object | undefined]>([
    ['request', undefined],
    ['stream', { prompt, stream: 'yes' }],
    ['signal', { prompt, signal: 'now' }],
    ['signal', { prompt, signal: {} }],
  ])('%s cannot be as in %o', async (where, request) => {
    const asked = engine.completions.create(request as CompletionRequest & { stream?: false })
    await expect(asked).rejects.toMatchObject({ ...refused, where })
  })

  test('a signal that is none is refused by a stream at once', () => {
    const request = { prompt, stream: true, signal: {} as AbortSignal } as const
    expect(() => engine.completions.create(request)).toThrow(/\[engine\/input\] signal/)
  })

  test.each([[undefined], ['A'], [5], [[1, undefined]]])('logits are not of %o', async (tokens) => {
    await expect(engine.logits(tokens as number[])).rejects.toMatchObject(refused)
  })

  test.each([[undefined], [5], [[1, 2]]])('tokens are not counted of %o', async (wrong) => {
    await expect(engine.countTokens(wrong as unknown as string)).rejects.toMatchObject(refused)
  })

  test('null is as left out, and typed arrays are lists of tokens', async () => {
    const nulls = Object.fromEntries(wrongOptions.map(([field]) => [field, null]))
    const typed = Int32Array.from(prompt) as unknown as number[]
    const request = {
      ...nulls,
      prompt: typed,
      temperature: 0,
      max_tokens: 16,
      stream: null as unknown as false,
      signal: null as unknown as AbortSignal,
    }
    const { choices } = await engine.completions.create(request)
    expect(choices[0]!.tokens).toEqual(greedy)
  })

  test.each([
    { max_completion_tokens: 3 },
    { max_completion_tokens: 3, max_tokens: 3 },
    { max_completion_tokens: null as unknown as number, max_tokens: 3 },
    { max_completion_tokens: 3, max_tokens: null as unknown as number },
  ])('%o are three tokens', async (limits) => {
    const { choices } = await engine.completions.create({ prompt, temperature: 0, ...limits })
    expect(choices[0]!.tokens).toEqual(greedy.slice(0, 3))
  })

  test.each<[string, object, ChatMessage]>([
    ['parts', { role: 'user', content: [part('A'), part('B')] }, { role: 'user', content: 'AB' }],
    ['no parts', { role: 'user', content: [] }, { role: 'user', content: '' }],
  ])('%s in a message: the text that they make', async (_, message, same) => {
    const rest = { temperature: 0, max_tokens: 4 }
    const got = await engine.chat.completions.create({ messages: [message as ChatMessage], ...rest })
    const expected = await engine.chat.completions.create({ messages: [same], ...rest })
    expect(got.choices).toEqual(expected.choices)
    expect(got.usage).toEqual(expected.usage)
  })

  test('content may be left out beside calls of tools', async () => {
    const calls = { role: 'assistant', tool_calls: [{ id: 'A' }] } as unknown as ChatMessage
    expect(await engine.countTokens([calls])).toBe(await engine.countTokens([{ ...calls, content: null }]))
  })
})

describe('a load', () => {
  const options =
    'dtype maxSeqLen maxNumSeqs maxNumBatchedTokens maxMemory deterministic tokensPerReadback warmUp signal ' +
    'onProgress onEvent onNotice revision token cache device'
  const nulls = Object.fromEntries(options.split(' ').map((option) => [option, null]))

  test('takes null as left out', () => {
    expect(checkLoadOptions({ ...nulls, maxNumSeqs: 2 })).toStrictEqual({ maxNumSeqs: 2 })
  })

  test('in a page takes null as left out: no device of the caller keeps it from a worker', async () => {
    vi.stubGlobal('navigator', {})
    const worker = (): Worker => {
      throw new Error('started')
    }
    await expect(createEngine({ model: [], ...nulls, worker })).rejects.toThrow('started')
    vi.unstubAllGlobals()
  })

  test('in Node takes null as left out', async () => {
    const reference = { ...nulls, device: 'reference', adapter: null, cacheDir: null } as const
    await using engine = await createNodeEngine({ model: 'tiny-llama', ...(reference as object) })
    expect(engine.shrunk).toEqual([])
  })

  const wrongLoads: [string, unknown][] = [
    ['onProgress', 'log'],
    ['onNotice', {}],
    ['onEvent', true],
    ['signal', {}],
    ['revision', 5],
    ['token', ['a']],
    ['cache', 'no'],
    ['deterministic', 1],
    ['warmUp', 'yes'],
    ['model', undefined],
    ['model', 5],
    ['model', {}],
    ['model', [null]],
  ]

  test.each([...wrongLoads, ['device', 'gpu'], ['adapter', 5], ['cacheDir', {}]])(
    'in Node cannot have %s %o',
    async (where, value) => {
      const loading = createNodeEngine({ model: 'none', [where]: value })
      await expect(loading).rejects.toMatchObject({ code: 'engine/input', where })
    },
  )

  test.each(wrongLoads)('in a page cannot have %s %o, and starts no worker', async (where, value) => {
    let numStarted = 0
    const worker = (): Worker => {
      numStarted++
      throw new Error('started')
    }
    const loading = createEngine({ model: [], worker, [where]: value })
    await expect(loading).rejects.toMatchObject({ code: 'engine/input', where })
    expect(numStarted).toBe(0)
  })

  test.each([
    ['maxSeqLength', 'maxSeqLen'],
    ['max_seq_len', 'maxSeqLen'],
    ['onprogress', 'onProgress'],
    ['quantize', undefined],
  ])('has no option %s: %s may be meant', async (option, near) => {
    const fix = near === undefined ? `Leave ${option} out.` : `Write ${near}, or leave ${option} out.`
    const said = `[engine/input] ${option}: expected an option of createEngine, got an unknown one. ${fix}`
    await expect(createNodeEngine({ model: 'none', [option]: 1 })).rejects.toThrow(said)
    await expect(createEngine({ model: [], [option]: 1 })).rejects.toThrow(said)
  })

  test('takes the options of the other platform, which mean nothing here', async () => {
    const node = { model: 'none', worker: false, dtype: 'f32' } as const
    await expect(createNodeEngine(node)).rejects.toMatchObject({ code: 'weights/missing' })
    const worker = (): Worker => {
      throw new Error('started')
    }
    vi.stubGlobal('navigator', {})
    const page = { model: [], worker, adapter: 'swift', cacheDir: '/tmp' }
    await expect(createEngine(page)).rejects.toThrow('started')
    vi.unstubAllGlobals()
  })

  test('has options', async () => {
    await expect(createEngine(undefined as never)).rejects.toMatchObject({ code: 'engine/input' })
    await expect(createNodeEngine(undefined as never)).rejects.toMatchObject({ code: 'engine/input' })
  })

  test.each([['bf16'], ['F16'], [16]])('cannot be in %o', async (dtype) => {
    const options = { dtype: dtype as 'f16' }
    await expect(openEngine({ options })).rejects.toMatchObject({ code: 'engine/input', where: 'dtype' })
  })

  test('of what is no model opens no link', async () => {
    const own = pair()
    const wrong = own.connect({} as ModelSource)
    await expect(wrong).rejects.toMatchObject({ code: 'engine/input', where: 'model' })
    expect([own.numLinks, own.host.numClients]).toEqual([0, 0])
  })
})
