// The library as it is published, on a server of its own under a strict policy, and a Chromium to open it in.

import { existsSync } from 'node:fs'
import { mkdtemp, readFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { extname, join, normalize } from 'node:path'
import { fileURLToPath } from 'node:url'
import { chromium, type Browser, type BrowserContext, type Page } from 'playwright-core'
import { build } from 'vite'
import { createEngine } from '../../src/node.ts'

export const projectRoot: string = fileURLToPath(new URL('../..', import.meta.url))
const chromiumPath = ['/usr/bin/chromium', '/usr/bin/chromium-browser'].find((path) => existsSync(path))

const types: Readonly<Record<string, string>> = {
  '.html': 'text/html',
  '.js': 'text/javascript',
  '.json': 'application/json',
}

export interface Site extends AsyncDisposable {
  readonly url: string
  readonly browser: Browser
}

/** Builds the library, as it is published, into a new folder. */
export async function buildLibrary(): Promise<string> {
  const dist = await mkdtemp(join(tmpdir(), 'tabhopper-dist-'))
  await build({
    root: projectRoot,
    configFile: join(projectRoot, 'vite.config.ts'),
    logLevel: 'error',
    build: { outDir: dist, emptyOutDir: true },
  })
  return dist
}

/**
 * Serves folders by the start of their paths, the embedded models as `/models/`, under `default-src 'self'`; pages may
 * connect to `connectTo` as well.
 */
export async function openSite(folders: Readonly<Record<string, string>>, connectTo?: string): Promise<Site> {
  const policy = `default-src 'self'${connectTo === undefined ? '' : `; connect-src 'self' ${connectTo}`}`
  const server = serve({ '/models/': join(projectRoot, 'public/models'), ...folders }, policy)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const browser = await chromium.launch({
    ...(chromiumPath !== undefined && { executablePath: chromiumPath }),
    args: ['--no-sandbox', '--enable-unsafe-webgpu', '--use-webgpu-adapter=swiftshader'],
  })
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    browser,
    async [Symbol.asyncDispose]() {
      await browser.close()
      server.closeAllConnections()
      server.close()
    },
  }
}

/** A page that is ready, and what its console complained about, workers included. */
export async function openPage(
  context: BrowserContext,
  url: string,
): Promise<{ readonly page: Page; readonly complaints: string[] }> {
  const page = await context.newPage()
  const complaints: string[] = []
  page.on('console', (message) => {
    // A model folder need not have every file that is looked for; browsers look for an icon by themselves.
    const mayBeAbsent = /\/models\/|\/favicon\.ico$/.test(message.location().url)
    if (['error', 'warning'].includes(message.type()) && !mayBeAbsent) complaints.push(message.text())
  })
  page.on('pageerror', (error) => complaints.push(String(error)))
  await page.goto(url)
  await page.waitForFunction(() => 'isReady' in globalThis)
  return { page, complaints }
}

/** Greedy continuation of `Once upon a time` by tiny-llama in f64, in Node. */
export async function expectedTokens(count: number): Promise<number[]> {
  await using engine = await createEngine({
    model: 'tiny-llama',
    device: 'reference',
    dtype: 'f32',
    maxSeqLen: 64,
  })
  const request = { prompt: 'Once upon a time', temperature: 0, max_tokens: count }
  return (await engine.completions.create(request)).choices[0]!.tokens
}

function serve(folders: Readonly<Record<string, string>>, policy: string): Server {
  return createServer((request, response) => {
    const path = normalize(new URL(request.url ?? '/', 'http://site').pathname)
    const prefix = Object.keys(folders).find((start) => path.startsWith(start)) ?? '/'
    const file = path.endsWith('/') ? `${path}index.html` : path
    const answer = (status: number, body?: Buffer): void => {
      response.writeHead(status, {
        'content-type': types[extname(file)] ?? 'application/octet-stream',
        'content-security-policy': policy,
      })
      response.end(body)
    }
    readFile(join(folders[prefix]!, file.slice(prefix.length))).then(
      (body) => answer(200, body),
      () => answer(404),
    )
  })
}
