// The packed library as a consumer installs it, through Vite (built and served for development) and webpack.

import { execFileSync } from 'node:child_process'
import { copyFile, mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeAll, expect, test } from 'vitest'
import { build, createServer } from 'vite'
import webpack from 'webpack'
import { buildLibrary, expectedTokens, openPage, openSite, projectRoot, type Site } from './site.ts'

const app = `
import { createEngine } from 'tabhopper'
globalThis.isReady = true
globalThis.answer = async (worker) => {
  const engine = await createEngine({ model: '/models/tiny-llama', dtype: 'f32', maxSeqLen: 64, maxNumSeqs: 1, worker })
  const request = { prompt: 'Once upon a time', temperature: 0, max_tokens: 4 }
  const { choices } = await engine.completions.create(request)
  await engine.dispose()
  return choices[0].tokens
}
`

declare global {
  var answer: (worker: boolean) => Promise<number[]>
}

let consumer: string
let site: Site
let expected: number[]

beforeAll(async () => {
  consumer = await mkdtemp(join(tmpdir(), 'tabhopper-consumer-'))
  await install()
  site = await openSite({ '/': consumer })
  expected = await expectedTokens(4)
  return async () => {
    await site[Symbol.asyncDispose]()
    await rm(consumer, { recursive: true })
  }
})

/** Packs the built library and unpacks it where npm would. */
async function install(): Promise<void> {
  const modules = join(consumer, 'node_modules')
  const staging = join(consumer, 'staging')
  await mkdir(modules)
  await mkdir(staging)
  await rename(await buildLibrary(), join(staging, 'dist'))
  await copyFile(join(projectRoot, 'package.json'), join(staging, 'package.json'))
  const packed = execFileSync('npm', ['pack', '--silent', '--pack-destination', consumer], { cwd: staging })
  execFileSync('tar', ['xzf', packed.toString().trim(), '-C', modules], { cwd: consumer })
  await rename(join(modules, 'package'), join(modules, 'tabhopper'))
  await writeFile(join(consumer, 'app.js'), app)
  await writeFile(join(consumer, 'index.html'), page('./app.js'))
}

const page = (script: string): string => `<!doctype html><script type="module" src="${script}"></script>`

/** What a page answers, and what its console complained about. */
async function answersAt(url: string, workers: readonly boolean[]): Promise<unknown> {
  const context = await site.browser.newContext()
  const { page, complaints } = await openPage(context, url)
  const answers: number[][] = []
  for (const worker of workers) answers.push(await page.evaluate((worker) => answer(worker), worker))
  await context.close()
  return { answers, complaints }
}

test('works built by Vite, in a worker and in the page', async () => {
  const outDir = join(consumer, 'vite')
  await build({ root: consumer, configFile: false, logLevel: 'error', base: './', build: { outDir } })
  const answers = await answersAt(`${site.url}/vite/`, [true, false])
  expect(answers).toEqual({ answers: [expected, expected], complaints: [] })
})

test('works served by Vite for development', async () => {
  const publicDir = join(projectRoot, 'public')
  const server = await createServer({
    root: consumer,
    configFile: false,
    logLevel: 'error',
    publicDir,
    server: { host: '127.0.0.1' },
  })
  await server.listen()
  const answers = await answersAt(server.resolvedUrls!.local[0]!, [true])
  await server.close()
  expect(answers).toEqual({ answers: [expected], complaints: [] })
})

test('works built by webpack', async () => {
  const path = join(consumer, 'webpack')
  const errors = await new Promise<unknown[]>((resolve, reject) =>
    webpack({ context: consumer, mode: 'production', entry: './app.js', output: { path } }, (error, stats) =>
      error === null ? resolve(stats?.toJson({ all: false, errors: true }).errors ?? []) : reject(error),
    ),
  )
  expect(errors).toEqual([])
  await writeFile(join(path, 'index.html'), page('./main.js'))
  const answers = await answersAt(`${site.url}/webpack/`, [true])
  expect(answers).toEqual({ answers: [expected], complaints: [] })
})
