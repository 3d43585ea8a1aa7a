// The weight cache in Chromium: what was fetched once stays, for every tab and without the model's server, survives
// tabs that die, damage and a full disk, and goes when it is told to.

import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { BrowserContext, Page } from 'playwright-core'
import { afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import { createEngine } from '../../src/node.ts'
import { expectRising, phaseRuns } from '../helpers/progress.ts'
import { TestServer } from '../unit/weights/remote/testServer.ts'
import type { Loaded } from './cachePage.ts'
import { buildLibrary, openPage, openSite, projectRoot, type Site } from './site.ts'
import { wideModel } from './wideModel.ts'

// A page that waits in vain is not waited for as long as a computation.
vi.setConfig({ testTimeout: 60_000 })

const MiB = 2 ** 20
const chunkBytes = 4 * MiB
const prompt = [5, 700, 16_000]
const files = wideModel()
const weightBytes = files['model.safetensors']!.length
const modelBytes = weightBytes + files['config.json']!.length

let dist: string
let server: TestServer
let site: Site
let expected: number[]
let context: BrowserContext

beforeAll(async () => {
  dist = await buildLibrary()
  server = await TestServer.start(
    Object.fromEntries(Object.entries(files).map(([name, bytes]) => [`m/${name}`, bytes])),
  )
  server.isOpenToPages = true
  site = await openSite({ '/dist/': dist, '/': join(projectRoot, 'test/pages/cacheSite') }, server.url)
  await using engine = await createEngine({ model: `${server.url}/m`, device: 'reference', cache: false })
  expected = (await engine.completions.create({ prompt, temperature: 0, max_tokens: 4 })).choices[0]!.tokens
  return async () => {
    await site[Symbol.asyncDispose]()
    await server.stop()
    await rm(dist, { recursive: true })
  }
})

beforeEach(async () => {
  context = await site.browser.newContext()
})
afterEach(async () => {
  server.hook = () => false
  await context.close()
})

const openTab = async (): Promise<Page> => (await openPage(context, site.url)).page

/** With one kind of step alone: compiling the others takes longest, and is no matter of the cache. */
const loadIn = (page: Page, options: object = {}): Promise<Loaded> =>
  page.evaluate((options) => loadModel(options), {
    model: `${server.url}/m`,
    maxNumSeqs: 1,
    maxNumBatchedTokens: 1,
    ...options,
  })

/** Loads in a new tab until all weights are on the device. */
async function loadInTab(options?: object): Promise<Loaded> {
  const page = await openTab()
  const loaded = await loadIn(page, { until: 'compile', ...options })
  await page.close()
  return loaded
}

/** Loads all of it in a new tab and checks the tokens. */
async function answerInTab(): Promise<Loaded> {
  const page = await openTab()
  const loaded = await loadIn(page)
  const { tokens } = await page.evaluate((prompt) => greedyTokens(prompt, 4), prompt)
  expect(tokens).toEqual(expected)
  await page.close()
  return loaded
}

/** Body bytes that the server sends while `body` runs. */
async function bytesServed(body: () => Promise<unknown>): Promise<number> {
  const before = server.bytesServed
  await body()
  return server.bytesServed - before
}

/** What a load fetches to see that nothing changed: a byte of each file. */
const numFiles = Object.keys(files).length

/** Runs `act` when the server is asked for chunk 3, which `answer` then answers. */
function atChunk3(act: () => Promise<boolean>): void {
  server.hook = ({ headers }) =>
    headers.range?.startsWith(`bytes=${3 * chunkBytes}-`) === true ? act() : false
}

test('a model is fetched once, and loads again without its server', async () => {
  const before = server.requests.length
  let cold: Loaded | undefined
  expect(await bytesServed(async () => (cold = await answerInTab()))).toBe(modelBytes)
  const ranges = server.requests.slice(before).filter(({ path }) => path.endsWith('.safetensors'))
  expect(ranges).toHaveLength(1 + Math.ceil(weightBytes / chunkBytes))
  expect(cold?.notices).toEqual([])
  expect(phaseRuns(cold!.progress)).toEqual(['download', 'upload', 'compile', 'warm-up', 'ready'])
  expectRising(cold!.progress)

  await server.stop()
  const { progress } = await answerInTab()
  await server.resume()
  expectRising(progress)
  const last = progress.findLast(({ phase }) => phase === 'download')
  expect(last).toEqual({
    phase: 'download',
    loadedBytes: modelBytes,
    totalBytes: modelBytes,
    cachedBytes: modelBytes,
  })
})

test('a tab that dies in the middle of a download has the next one fetch at most one chunk again', async () => {
  const page = await openTab()
  const served = await bytesServed(async () => {
    const reached = new Promise<void>((resolve) => {
      server.hook = ({ headers }, response) => {
        if (headers.range?.startsWith(`bytes=${3 * chunkBytes}-`) !== true) return false
        response.writeHead(206).write(Buffer.alloc(MiB))
        server.bytesServed += MiB
        resolve()
        return true
      }
    })
    void loadIn(page).catch(() => undefined)
    await reached
    await page.close()
    server.hook = () => false
    const { progress } = await loadInTab()
    expect(progress.findLast(({ phase }) => phase === 'download')).toMatchObject({
      cachedBytes: modelBytes - weightBytes + 3 * chunkBytes,
    })
  })
  expect(served).toBeGreaterThanOrEqual(modelBytes + MiB)
  expect(served).toBeLessThanOrEqual(modelBytes + chunkBytes)
})

test('chunks that were changed on the disk are fetched again, alone', async () => {
  await loadInTab()
  const page = await openTab()
  const numChanged = await page.evaluate(async () => {
    const root = await (await navigator.storage.getDirectory()).getDirectoryHandle('tabhopper')
    let numChanged = 0
    for await (const folder of root.values()) {
      if (!(folder instanceof FileSystemDirectoryHandle)) continue
      const handle = await folder.getFileHandle('2').catch(() => undefined)
      const writable = await handle?.createWritable({ keepExistingData: true })
      await writable?.write({ type: 'write', position: 12_345, data: new Uint8Array(8) })
      await writable?.close()
      if (writable !== undefined) numChanged++
    }
    return numChanged
  })
  expect(numChanged).toBe(1)
  await page.close()
  expect(await bytesServed(() => answerInTab())).toBe(chunkBytes + numFiles)
})

test('a file that changed on the server replaces the stored one', async () => {
  await loadInTab()
  server.put('m/config.json', files['config.json']!, '"new"')
  const served = await bytesServed(() => loadInTab())
  server.put('m/config.json', files['config.json']!)
  expect(served).toBe(files['config.json']!.length + 1)
})

test('two tabs that load at once both get the model, and the next has it', async () => {
  const served = await bytesServed(() => Promise.all([loadInTab(), loadInTab()]))
  expect(served).toBeLessThanOrEqual(2 * modelBytes + 2 * numFiles)
  expect(await bytesServed(() => loadInTab())).toBe(numFiles)
})

describe('where there is no room', () => {
  async function setQuota(page: Page, bytes: number): Promise<void> {
    const session = await context.newCDPSession(page)
    await session.send('Storage.overrideQuotaForOrigin', { origin: site.url, quotaSize: bytes })
  }

  /** A page in which `change` runs before any other script. */
  async function openChangedTab(change: () => void): Promise<Page> {
    const page = await context.newPage()
    await page.addInitScript(change)
    await page.goto(site.url)
    await page.waitForFunction(() => 'isReady' in globalThis)
    return page
  }

  // Chromium tells every site of the same quota, whatever it is.
  test('for a model it loads without the cache, with one notice', async () => {
    const page = await openChangedTab(() => {
      StorageManager.prototype.estimate = async () => ({ quota: 2 ** 23, usage: 0 })
    })
    const { notices } = await loadIn(page, { worker: false, until: 'compile' })
    expect(notices).toEqual([
      expect.stringMatching(/has no room for 18\.3 MiB of model\.safetensors, 8 MiB are left/),
    ])
    const cached = await page.evaluate(() => weightCache.list())
    expect(cached.flatMap(({ files }) => files.map(({ path }) => path))).toEqual(['config.json'])
  })

  test('in the middle of a load it goes on without the cache, with one notice', async () => {
    const page = await openTab()
    atChunk3(async () => {
      await setQuota(page, MiB)
      return false
    })
    const { notices } = await answerInTab()
    expect(notices).toEqual([expect.stringMatching(/cannot be written .*quota.*without it/)])
  })

  test('at all it loads, with one notice', async () => {
    const page = await openChangedTab(() => {
      StorageManager.prototype.getDirectory = async () => {
        throw new DOMException('private', 'SecurityError')
      }
    })
    const { notices } = await loadIn(page, { worker: false, until: 'compile' })
    expect(notices).toEqual([expect.stringMatching(/no place for a weight cache/)])
    expect(await page.evaluate(() => weightCache.list())).toEqual([])
  })
})

test('models are listed and deleted, in a page and by its engine', async () => {
  const page = await openTab()
  await loadIn(page)
  const [model, ...rest] = await page.evaluate(() => weightCache.list())
  expect(rest).toEqual([])
  expect(model).toMatchObject({
    model: `${server.url}/m`,
    cachedBytes: modelBytes,
    isComplete: true,
    files: [
      { path: 'config.json' },
      { path: 'model.safetensors', cachedBytes: weightBytes, isVerified: false },
    ],
  })
  expect(Math.abs(Date.now() - model!.lastUsed.getTime())).toBeLessThan(3 * 60_000)

  expect(await page.evaluate(() => weightCache.delete('https://elsewhere/m'))).toBe(0)
  const name = `${server.url}/m/?key=1`
  expect(await page.evaluate((name) => loadedEngine.cache.delete(name), name)).toBe(modelBytes)
  expect(await page.evaluate(() => loadedEngine.cache.list())).toEqual([])
  const { usage } = await page.evaluate(() => navigator.storage.estimate())
  expect(usage).toBeLessThan(MiB)
  // The engine that is loaded keeps working.
  expect((await page.evaluate((prompt) => greedyTokens(prompt, 4), prompt)).tokens).toEqual(expected)
  await page.close()
  expect(await bytesServed(() => loadInTab())).toBe(modelBytes)
})

test('a model above maxMemory is refused with the sum before its weights come', async () => {
  const page = await openTab()
  const refused = (): Promise<unknown> => loadIn(page, { maxMemory: 16 * MiB })
  const served = await bytesServed(() =>
    expect(refused()).rejects.toThrow(/\[engine\/memory\] .*at most 16\.00 MiB.* of weights in f32 \+ .* = /),
  )
  expect(served).toBeLessThanOrEqual(files['config.json']!.length + chunkBytes)
})
