// One engine for all clients of a worker that ask for the same: loaded once, gone with the last, deaf to one that dies.

import { expect, test, vi } from 'vitest'
import type { Engine, EngineOptions, LoadProgress } from '../../../src/api/types.ts'
import { memoryStore } from '../../../src/core/files.ts'
import { createNullEngine } from '../../helpers/nullEngine.ts'
import { collect } from '../api/models.ts'
import { pair } from './pairs.ts'

const tick = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 2))

const read = (engine: Engine, max_tokens: number): Promise<number> =>
  collect(engine.completions.create({ prompt: [0], max_tokens, stream: true })).then(({ length }) => length)

test('clients with the same model and options share an engine, which goes with the last', async () => {
  const { connect, engines, host } = pair()
  const clients = await Promise.all([
    connect('a', { dtype: 'f16', maxSeqLen: 8 }),
    connect('a', { maxSeqLen: 8, dtype: 'f16' }),
    connect('a', { dtype: 'f16', maxSeqLen: 8 }),
  ])
  expect(engines).toHaveLength(1)
  await clients[0].dispose()
  await clients[2].dispose()
  expect(clients[2].memory().weights).toBe(0)
  expect(engines[0]!.isDisposed).toBe(false)
  expect(await read(clients[1], 3)).toBe(4)
  await clients[1].dispose()
  expect(engines[0]!.isDisposed).toBe(true)
  expect([host.numClients, host.numEngines]).toEqual([0, 0])
})

const folder = memoryStore('a', {})
const file = (text: string): File => new File([text], 'config.json', { lastModified: 1 })

test.each<[string, number, Parameters<ReturnType<typeof pair>['connect']>[0][]]>([
  ['equal ids', 1, ['a', 'a']],
  ['other ids', 2, ['a', 'b']],
  ['equal files', 1, [[file('ab')], [file('ab')]]],
  ['files of another size', 2, [[file('ab')], [file('abc')]]],
  ['stores of the page, even one', 2, [folder, folder]],
])('%s make %d engines of two', async (_name, count, models) => {
  const { connect, engines, closeTabs } = pair()
  await Promise.all(models.map((model) => connect(model)))
  expect(engines).toHaveLength(count)
  closeTabs()
})

test('other options make another engine', async () => {
  const { connect, engines, closeTabs } = pair()
  await Promise.all([connect('a', { maxSeqLen: 8 }), connect('a', { maxSeqLen: 9 })])
  expect(engines).toHaveLength(2)
  closeTabs()
})

test('a tab that dies ends its own requests and nobody else’s', async () => {
  const { connect, openTab, engines, host } = pair({ beforeToken: tick })
  const tab = openTab()
  const [dying, surviving] = await Promise.all([tab.connect('a'), connect('a')])
  const unanswered = read(dying, 1e9).catch(() => undefined)
  const reading = read(surviving, 100)
  await vi.waitFor(() => expect(engines[0]!.numRunning).toBe(2))
  tab.close()
  await vi.waitFor(() => expect([engines[0]!.numRunning, host.numClients]).toEqual([1, 1]))
  expect(await reading).toBe(101)
  expect(engines[0]!.isDisposed).toBe(false)
  await surviving.dispose()
  expect(engines[0]!.isDisposed).toBe(true)
  await unanswered
})

/** Loads that a test ends, each with the hooks that it was given. */
function manualLoads(): {
  loads: Load[]
  create: (model: unknown, options: EngineOptions) => Promise<Engine>
} {
  const loads: Load[] = []
  return {
    loads,
    create: (_model, options) =>
      new Promise((finish, fail) => {
        loads.push({ options, finish: () => finish(createNullEngine()), fail })
        options.signal?.addEventListener('abort', () => fail(options.signal?.reason))
      }),
  }
}

interface Load {
  readonly options: EngineOptions
  finish(): void
  fail(error: unknown): void
}

test('a load goes on for those who still wait, and all hear of its progress', async () => {
  const { loads, create } = manualLoads()
  const { connect, closeTabs } = pair({}, create)
  const abort = new AbortController()
  const seen: LoadProgress[] = []
  const aborted = connect('a', { signal: abort.signal })
  const waiting = connect('a', { onProgress: (progress) => seen.push(progress) })
  await vi.waitFor(() => expect(loads).toHaveLength(1))
  await tick()
  abort.abort()
  await expect(aborted).rejects.toMatchObject({ code: 'engine/cancelled' })
  await tick()
  const progress = { phase: 'upload', loadedBytes: 1, totalBytes: 2 } as const
  loads[0]!.options.onProgress?.(progress)
  loads[0]!.finish()
  expect((await waiting).model).toBe('null')
  expect(loads[0]!.options.signal?.aborted).toBe(false)
  expect(seen).toEqual([progress])
  closeTabs()
})

test('a load that nobody waits for is aborted, and the next one starts afresh', async () => {
  const { loads, create } = manualLoads()
  const { connect, host, closeTabs } = pair({}, create)
  const abort = new AbortController()
  const aborted = connect('a', { signal: abort.signal })
  await vi.waitFor(() => expect(loads).toHaveLength(1))
  abort.abort()
  await expect(aborted).rejects.toMatchObject({ code: 'engine/cancelled' })
  await vi.waitFor(() => expect(host.numEngines).toBe(0))
  expect(loads[0]!.options.signal?.aborted).toBe(true)
  const next = connect('a')
  await vi.waitFor(() => expect(loads).toHaveLength(2))
  loads[1]!.finish()
  await next
  closeTabs()
})

test('a load that fails does so for all who wait, and the next one starts afresh', async () => {
  const { loads, create } = manualLoads()
  const { connect, closeTabs } = pair({}, create)
  const both = Promise.allSettled([connect('a'), connect('a')])
  await vi.waitFor(() => expect(loads).toHaveLength(1))
  await tick()
  loads[0]!.fail(new RangeError('full'))
  for (const result of await both) expect(result).toMatchObject({ reason: { name: 'RangeError' } })
  const next = connect('a')
  await vi.waitFor(() => expect(loads).toHaveLength(2))
  loads[1]!.finish()
  await next
  closeTabs()
})

test('an engine is loaded again only when the old one is gone', async () => {
  let release: () => void = () => undefined
  const events: string[] = []
  const { connect, closeTabs } = pair({}, async () => {
    events.push('load')
    const dispose = async (): Promise<void> => {
      await new Promise<void>((resolve) => (release = resolve))
      events.push('gone')
    }
    return { ...createNullEngine(), dispose }
  })
  const disposing = (await connect('a')).dispose()
  await tick()
  const again = connect('a')
  await tick()
  release()
  await Promise.all([disposing, again])
  expect(events).toEqual(['load', 'gone', 'load'])
  closeTabs()
  await tick()
  release()
})
