// The built library in real pages: a plain module script under a strict policy, a main thread that stays free, and two
// tabs on one shared worker.

import { readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import type { BrowserContext } from 'playwright-core'
import { beforeAll, describe, expect, test } from 'vitest'
import type { Engine } from '../../src/api/types.ts'
import { buildLibrary, expectedTokens, openPage, openSite, projectRoot, type Site } from './site.ts'

declare global {
  var load: (options?: object) => Promise<void>
  var complete: (options?: object) => Promise<{ id: string; tokens: number[] }>
  var engine: Engine
}

let dist: string
let site: Site
let expected: number[]

beforeAll(async () => {
  dist = await buildLibrary()
  site = await openSite({ '/dist/': dist, '/': join(projectRoot, 'test/pages/site') })
  expected = await expectedTokens(16)
  return async () => {
    await site[Symbol.asyncDispose]()
    await rm(dist, { recursive: true })
  }
})

const openTab = (context: BrowserContext): ReturnType<typeof openPage> => openPage(context, site.url)

describe('the built library', () => {
  let context: BrowserContext
  beforeAll(async () => {
    context = await site.browser.newContext()
    return () => context.close()
  })

  test('runs from a plain module script under default-src self, worker and all', async () => {
    const { page, complaints } = await openTab(context)
    await page.evaluate(() => load())
    expect(await page.evaluate(() => complete())).toMatchObject({ tokens: expected })
    expect(complaints).toEqual([])
    // The policy is in force: what it forbids is complained about.
    await page.evaluate(() =>
      document.body.append(Object.assign(document.createElement('script'), { text: '1' })),
    )
    expect(complaints.join()).toContain('Content Security Policy')
    await page.close()
  })

  test('is at most 150 kB of gzip, in the files that a page can come to load', async () => {
    const files = new Set(['index.js', 'worker.js'])
    let bytes = 0
    for (const file of files) {
      const code = await readFile(join(dist, file), 'utf8')
      bytes += gzipSync(code).byteLength
      for (const [, name] of code.matchAll(/["'`](?:\.\/)?(?:chunks\/)?([\w-]+-[\w-]{8}\.js)["'`]/g)) {
        files.add(`chunks/${name}`)
      }
    }
    console.log(`library, worker, tokenizer, templates: ${bytes} bytes of gzip in ${files.size} files`)
    // What is least: page, worker, engine with tokenizer and templates, errors.
    expect(files.size).toBeGreaterThanOrEqual(5)
    expect(bytes).toBeLessThan(150_000)
  })

  test('keeps the main thread free while it loads and answers', async () => {
    const { page } = await openTab(context)
    const { longest, control } = await page.evaluate(async () => {
      const tasks: number[] = []
      const observer = new PerformanceObserver((list) =>
        tasks.push(...list.getEntries().map(({ duration }) => duration)),
      )
      observer.observe({ type: 'longtask' })
      const pause = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 100))
      await load()
      await complete({ max_tokens: 64 })
      await pause()
      const longest = Math.max(0, ...tasks)
      // One that must be seen.
      for (const until = performance.now() + 80; performance.now() < until;);
      await pause()
      return { longest, control: Math.max(...tasks) }
    })
    console.log(
      `longest task of the main thread while loading and answering: ${longest} ms (0: none above 50)`,
    )
    expect(longest).toBe(0)
    expect(control).toBeGreaterThanOrEqual(80)
    await page.close()
  })

  test('serves two tabs from one engine, and one closing does not disturb the other', async () => {
    const [first, second] = [await openTab(context), await openTab(context)]
    await first.page.evaluate(() => load({ worker: 'shared' }))
    await second.page.evaluate(() => load({ worker: 'shared' }))
    const answers = [
      await first.page.evaluate(() => complete()),
      await second.page.evaluate(() => complete()),
    ]
    // One engine numbers the answers of both.
    expect(answers).toEqual([
      { id: 'cmpl-0', tokens: expected },
      { id: 'cmpl-1', tokens: expected },
    ])
    const plans = [first, second].map(({ page }) =>
      page.evaluate(async () => (await engine.inspect.model()).plans.length),
    )
    expect(await Promise.all(plans)).toEqual([3, 3])
    const rest = first.page.evaluate(() => complete({ max_tokens: 100 })).catch(() => undefined)
    // One tab sees what the other has running.
    await second.page.waitForFunction(async () => (await engine.inspect.kvCache()).sequences.length === 1)
    const going = second.page.evaluate(() => complete({ max_tokens: 60 }))
    await first.page.close()
    expect((await going).tokens.slice(0, 16)).toEqual(expected)
    await rest
    expect(await second.page.evaluate(() => complete())).toEqual({ id: 'cmpl-3', tokens: expected })
    expect([...first.complaints, ...second.complaints]).toEqual([])
    await second.page.close()
  })
})
