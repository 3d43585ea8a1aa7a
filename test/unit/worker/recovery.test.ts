// What crosses between page and worker after a model has been loaded: events of the engine, and a page's own files when
// they are read again.

import { afterEach, describe, expect, test, vi } from 'vitest'
import type { EngineEvent } from '../../../src/api/types.ts'
import { memoryStore, readText, type FileStore } from '../../../src/core/files.ts'
import { createReferenceDevice } from '../../../src/device/reference/reference.ts'
import type { LoadOptions } from '../../../src/worker/protocol.ts'
import { losableDevice } from '../../helpers/losableDevice.ts'
import { createNullEngine } from '../../helpers/nullEngine.ts'
import { greedy, openEngine, prompt } from '../api/models.ts'
import { pair, type Pair } from './pairs.ts'

let open: Pair | undefined
const join = (...args: Parameters<typeof pair>): Pair => (open = pair(...args))
afterEach(async () => {
  open?.closeTabs()
  await vi.waitUntil(() => open?.host.numClients === 0)
})

const recovered: EngineEvent = {
  type: 'recovered',
  losses: [{ reason: 'unknown', message: 'unplugged' }],
  durationMs: 5,
  numSequences: 1,
}

describe('events of an engine', () => {
  test('reach all who share it, as long as they do', async () => {
    let tell: LoadOptions['onEvent']
    const { connect, openTab } = join({}, async (_, { onEvent }) => {
      tell = onEvent
      return createNullEngine()
    })
    const heard: string[] = []
    const first = await connect('null', { onEvent: ({ type }) => heard.push(`first ${type}`) })
    await openTab().connect('null', { onEvent: ({ type }) => heard.push(`second ${type}`) })
    // And one who does not listen.
    await openTab().connect('null')
    tell!(recovered)
    await vi.waitFor(() => expect(heard.sort()).toEqual(['first recovered', 'second recovered']))
    await first.dispose()
    tell!(recovered)
    await vi.waitFor(() => expect(heard).toHaveLength(3))
    expect(heard.at(-1)).toBe('second recovered')
  })

  test('are those of a recovery inside the worker, whose streams go on', async () => {
    const { connect } = join({}, (_, options) =>
      openEngine({
        options,
        device: losableDevice(createReferenceDevice(), { loseAt: { call: 'run', count: 6 } }),
        nextDevice: createReferenceDevice,
      }),
    )
    const events: EngineEvent[] = []
    const options = {
      dtype: 'f32',
      maxSeqLen: 64,
      onEvent: (event: EngineEvent) => events.push(event),
    } as const
    await using engine = await connect('gqa', options)
    const tokens: number[] = []
    const stream = engine.completions.create({ prompt, max_tokens: 16, temperature: 0, stream: true })
    for await (const { choices } of stream) tokens.push(...(choices[0]?.tokens ?? []))
    expect(tokens).toEqual(greedy)
    expect(events).toMatchObject([{ type: 'recovered', losses: recovered.losses, numSequences: 1 }])
  })

  test('bring the adapter that computes from then on, for all who share the engine', async () => {
    const adapter = { ...createReferenceDevice().adapter, description: 'another one' }
    const { connect, openTab } = join({}, (_, options) =>
      openEngine({
        options,
        device: losableDevice(createReferenceDevice(), { loseAt: { call: 'run', count: 3 } }),
        nextDevice: () => ({ ...createReferenceDevice(), adapter }),
      }),
    )
    const options = { dtype: 'f32', maxSeqLen: 64 } as const
    const seen: string[] = []
    const onEvent = (): unknown => seen.push(engine.adapter.description)
    const engine = await connect('gqa', { ...options, onEvent })
    const other = await openTab().connect('gqa', options)
    expect(engine.adapter).toEqual(createReferenceDevice().adapter)
    await engine.completions.create({ prompt, max_tokens: 16 })
    await vi.waitFor(() => expect(seen).toEqual(['another one']))
    expect(engine.adapter).toEqual(adapter)
    await vi.waitFor(() => expect(other.adapter).toEqual(adapter))
  })

  test('end nothing where a listener throws', async () => {
    const shown = vi.spyOn(console, 'error').mockReturnValue()
    let tellAll: LoadOptions['onEvent']
    const { connect } = join({}, async (_, { onEvent }) => {
      tellAll = onEvent
      return createNullEngine()
    })
    const error = new RangeError('of the page')
    const onEvent = (): never => {
      throw error
    }
    const engine = await connect('null', { onEvent })
    tellAll!(recovered)
    await vi.waitFor(() => expect(shown).toHaveBeenCalledWith(error))
    expect(await engine.countTokens('ABC')).toBe(3)
    shown.mockRestore()
  })
})

describe('a store of the page', () => {
  /** The worker's side of `memoryStore('folder', { file: 'text' })`. */
  async function remoteStore(): Promise<{ readonly store: FileStore; readonly end: () => Promise<void> }> {
    let store: FileStore | undefined
    const { connect } = join({}, async (model) => {
      store = model as FileStore
      return createNullEngine()
    })
    const engine = await connect(memoryStore('folder', { file: 'text' }))
    return { store: store!, end: () => engine.dispose() }
  }

  test('can be read again after the load', async () => {
    const { store } = await remoteStore()
    expect(await readText(store, 'file', 99)).toBe('text')
    expect(await readText(store, 'file', 99)).toBe('text')
  })

  test('is let go with the engine', async () => {
    const { store, end } = await remoteStore()
    const source = await store.open('file')
    await end()
    await expect(readText(store, 'file', 99)).rejects.toMatchObject({ code: 'engine/cancelled' })
    await expect(source!.read(0, 1)).rejects.toMatchObject({ code: 'engine/cancelled' })
    await source!.close!()
  })
})
