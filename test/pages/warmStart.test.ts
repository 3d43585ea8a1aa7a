// From navigation to the first token, with the model in the weight cache: prints the time and its parts as JSON, and
// checks only that it could be measured.

import { rm } from 'node:fs/promises'
import { readFileSync, readdirSync } from 'node:fs'
import { loadavg } from 'node:os'
import { join } from 'node:path'
import type { BrowserContext } from 'playwright-core'
import { beforeAll, expect, test } from 'vitest'
import { TestServer } from '../unit/weights/remote/testServer.ts'
import type { Loaded } from './cachePage.ts'
import { buildLibrary, openPage, openSite, projectRoot, type Site } from './site.ts'

const model = join(projectRoot, 'public/models/tiny-llama')
const numRuns = 3

let dist: string
let server: TestServer
let site: Site

beforeAll(async () => {
  dist = await buildLibrary()
  const names = readdirSync(model).filter((name) => /\.(json|safetensors)$/.test(name))
  server = await TestServer.start(
    Object.fromEntries(names.map((name) => [`tiny-llama/${name}`, readFileSync(join(model, name))])),
  )
  server.isOpenToPages = true
  site = await openSite({ '/dist/': dist, '/': join(projectRoot, 'test/pages/cacheSite') }, server.url)
  return async () => {
    await site[Symbol.asyncDispose]()
    await server.stop()
    await rm(dist, { recursive: true })
  }
})

interface WarmStart {
  readonly adapter: string
  readonly cachedBytes: number
  readonly totalMs: number
  readonly partsMs: Readonly<Record<string, number>>
}

async function measure(context: BrowserContext): Promise<WarmStart> {
  const { page } = await openPage(context, site.url)
  const run = await page.evaluate(async (model) => {
    const { marks, progress }: Loaded = await loadModel({ model, dtype: 'f16' })
    const { firstAt } = await greedyTokens('Once upon a time', 1)
    const { vendor, architecture } = loadedEngine.adapter
    return { marks, progress, firstAt, libraryAt: globalThis.scriptAt, adapter: `${vendor} ${architecture}` }
  }, `${server.url}/tiny-llama`)
  await page.close()
  const { marks, progress, firstAt, libraryAt, adapter } = run
  // Each part ends where the next one begins.
  const ends: [part: string, at: number | undefined][] = [
    ['page and library', libraryAt],
    ['worker, manifests and headers', marks['download']],
    ['weights: cache and upload', marks['compile']],
    ['device pipelines', marks['warm-up']],
    ['warm-up', marks['ready']],
    ['first request', firstAt],
  ]
  let before = 0
  const partsMs: Record<string, number> = {}
  for (const [part, at = NaN] of ends) {
    partsMs[part] = Math.round((at - before) * 10) / 10
    before = at
  }
  const last = progress.findLast((each) => each.phase === 'download')
  return { adapter, cachedBytes: last?.cachedBytes ?? 0, totalMs: Math.round(firstAt), partsMs }
}

test('the time from navigation to the first token can be told part by part', async () => {
  const context = await site.browser.newContext()
  const cold = await measure(context)
  const runs: WarmStart[] = []
  for (let run = 0; run < numRuns; run++) runs.push(await measure(context))
  await context.close()
  const [best] = runs.toSorted((a, b) => a.totalMs - b.totalMs)
  const browser = site.browser.version()
  const loadAverage = loadavg()[0]
  console.log(
    JSON.stringify({ model: 'tiny-llama', dtype: 'f16', browser, loadAverage, cold, warm: best, runs }),
  )
  expect(cold.cachedBytes).toBe(0)
  for (const { cachedBytes, totalMs, partsMs } of runs) {
    expect(cachedBytes).toBeGreaterThan(3.6e6)
    const parts = Object.values(partsMs)
    expect(Math.min(...parts)).toBeGreaterThan(0)
    expect(parts.reduce((sum, ms) => sum + ms, 0)).toBeCloseTo(totalMs, -1)
  }
})
