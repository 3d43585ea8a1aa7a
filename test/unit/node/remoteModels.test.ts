// Models over HTTP as a program meets them: the same tokens as from the directory, again without a network, by URL, by
// hub id and as GGUF, with tokens that go only where they belong.

import { existsSync, readFileSync, readdirSync } from 'node:fs'
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { createEngine, openModel, type NodeEngineOptions } from '../../../src/node.ts'
import { fixturesDir, modelsDir } from '../../helpers/dirs.ts'
import { greedy, prompt } from '../api/models.ts'
import { TestServer } from '../weights/remote/testServer.ts'

const tinyLlama = `${modelsDir}/tiny-llama`
const gqa = `${fixturesDir}/golden/llama/gqa`
const gguf = `${fixturesDir}/golden/gguf/llama.gguf`
const commit = 'a'.repeat(40)
let server: TestServer
let cacheDir: string

beforeEach(async () => {
  server = await TestServer.start()
  cacheDir = await mkdtemp(join(tmpdir(), 'tabhopper-remote-'))
  vi.stubEnv('HF_ENDPOINT', server.url)
  vi.stubEnv('HF_TOKEN', 'from the environment')
})
afterEach(async () => {
  vi.unstubAllEnvs()
  await server.stop()
  await rm(cacheDir, { recursive: true })
})

function putFolder(folder: string, at: string): void {
  for (const file of readdirSync(folder)) {
    if (/\.(json|safetensors|jinja)$/.test(file))
      server.put(`${at}/${file}`, readFileSync(`${folder}/${file}`))
  }
}

/** What the hub tells of files that the server has below `owner/name`. */
function putHubList(id: string, more: object = {}): void {
  const prefix = `/${id}/resolve/${commit}/`
  const siblings = [...server.files]
    .filter(([path]) => path.startsWith(prefix))
    .filter(([path]) => !path.includes('?'))
    .map(([path, { bytes }]) => ({
      rfilename: path.slice(prefix.length),
      size: bytes.length,
      blobId: path,
      ...more,
    }))
  server.put(`api/models/${id}/revision/main?blobs=true`, JSON.stringify({ sha: commit, siblings }))
}

async function greedyTokens(
  options: Partial<NodeEngineOptions>,
  prompt: string | readonly number[],
  numTokens: number,
): Promise<number[]> {
  await using engine = await createEngine({
    model: '',
    device: 'reference',
    dtype: 'f32',
    maxSeqLen: 64,
    cacheDir,
    ...options,
  })
  const { choices } = await engine.completions.create({ prompt, temperature: 0, max_tokens: numTokens })
  return choices[0]!.tokens
}

test.skipIf(!existsSync(tinyLlama))(
  'tiny-llama gives the same story from a server, and without it',
  async () => {
    putFolder(tinyLlama, 'public/models/tiny-llama')
    const story = (model: string): Promise<number[]> => greedyTokens({ model }, 'Once upon a time', 12)
    const expected = await story(tinyLlama)
    expect(await story(`${server.url}/public/models/tiny-llama`)).toEqual(expected)
    expect(server.bytesServed).toBeLessThanOrEqual(
      [...server.files.values()].reduce((sum, { bytes }) => sum + bytes.length, 0),
    )
    await server.stop()
    expect(await story(`${server.url}/public/models/tiny-llama/`)).toEqual(expected)
  },
)

test("a folder behind a URL gives PyTorch's tokens, and its server no token from the environment", async () => {
  putFolder(gqa, 'gqa')
  expect(await greedyTokens({ model: `${server.url}/gqa` }, prompt, greedy.length)).toEqual(greedy)
  expect(server.requests.every(({ authorization }) => authorization === undefined)).toBe(true)
  await greedyTokens({ model: `${server.url}/gqa`, token: 'given', cache: false }, prompt, 1)
  expect(server.requests.at(-1)?.authorization).toBe('Bearer given')
})

test("a hub id gives PyTorch's tokens, and the hub the token from the environment", async () => {
  putFolder(gqa, `owner/gqa/resolve/${commit}`)
  putHubList('owner/gqa')
  expect(await greedyTokens({ model: 'owner/gqa' }, prompt, greedy.length)).toEqual(greedy)
  expect(new Set(server.requests.map(({ authorization }) => authorization))).toEqual(
    new Set(['Bearer from the environment']),
  )
  await server.stop()
  expect(await greedyTokens({ model: 'owner/gqa' }, prompt, greedy.length)).toEqual(greedy)
})

test.each([
  ['a URL', (url: string) => `${url}/elsewhere/llama.gguf?download=true`],
  ['its download', (url: string) => `${url}/owner/gguf/resolve/main/llama.gguf?download=true`],
  ['its page', (url: string) => `${url}/owner/gguf/blob/main/llama.gguf`],
  ['a hub id and a revision', () => 'owner/gguf@main'],
  ['a hub id', () => 'owner/gguf'],
  ['a hub id and a file', () => 'owner/gguf/llama.gguf'],
  ["a repository's page", (url: string) => `${url}/owner/gguf`],
])('a GGUF file is opened by %s', async (_what, modelOf) => {
  const path = `owner/gguf/resolve/${commit}/llama.gguf`
  for (const file of [path, 'elsewhere/llama.gguf?download=true']) server.put(file, readFileSync(gguf))
  putHubList('owner/gguf')
  const local = await openModel(gguf)
  const remote = await openModel(modelOf(server.url), { cacheDir })
  expect([...remote.checkpoint.tensors.keys()]).toEqual([...local.checkpoint.tensors.keys()])
  const name = 'model.embed_tokens.weight'
  expect(await remote.checkpoint.read(name, 5, 50)).toEqual(await local.checkpoint.read(name, 5, 50))
  await Promise.all([remote.close(), local.close()])
})

test("an address of the hub's pages gets the token, and its bytes are compared with their hash", async () => {
  const path = `owner/gguf/resolve/${commit}/llama.gguf`
  server.put(path, readFileSync(gguf))
  putHubList('owner/gguf', { lfs: { sha256: '0'.repeat(64) } })
  const loading = openModel(`${server.url}/owner/gguf/resolve/main/llama.gguf`, { cacheDir })
  // All of so small a file is read with its header.
  await expect(loading).rejects.toMatchObject({ code: 'file/hash' })
  expect(server.requests.map(({ authorization }) => authorization)).not.toContain(undefined)
})

test('a revision that the name of a model says cannot be another one', async () => {
  const loading = openModel('owner/gqa@v1', { revision: 'v2', cacheDir })
  await expect(loading).rejects.toMatchObject({ code: 'engine/input', where: 'revision' })
  expect(server.requests).toEqual([])
})

describe('what is not there', () => {
  test.each([
    ['some/missing.gguf', /some\/missing\.gguf: expected a GGUF file, got nothing of that name/],
    ['owner/missing', /owner\/missing: expected a folder of this name, or a repository of http/],
    ['./owner/missing', /\.\/owner\/missing: expected a folder or a GGUF file, got nothing of that name/],
  ])('%s', async (model, message) => {
    await expect(openModel(model, { cacheDir })).rejects.toThrow(message)
  })

  test('behind a URL', async () => {
    await expect(openModel(`${server.url}/x`, { cacheDir })).rejects.toThrow(
      /\[weights\/missing\] http:\S+\/x: .*config/,
    )
    await expect(openModel(`${server.url}/x.gguf`, { cacheDir })).rejects.toThrow(/expected a GGUF file/)
  })

  test('of a pipeline behind a URL', async () => {
    server.put('sdxl/model_index.json', '{}')
    await expect(openModel(`${server.url}/sdxl`, { cacheDir })).rejects.toThrow(
      /\[model\/unsupported\] http:\S+\/sdxl: .*a pipeline of diffusers, which is not supported yet/,
    )
  })
})

test('a directory comes before a hub id of the same name', async () => {
  await expect(openModel('test/unit', { cacheDir })).rejects.toThrow(
    /test\/unit: expected model\.safetensors/,
  )
  expect(server.requests).toEqual([])
})

test('without the cache nothing is written', async () => {
  putFolder(gqa, 'gqa')
  await greedyTokens({ model: `${server.url}/gqa`, cache: false }, prompt, 1)
  expect(await readdir(cacheDir)).toEqual([])
})

test('a cache that cannot be written is a notice, not an error', async () => {
  putFolder(gqa, 'gqa')
  await writeFile(join(cacheDir, 'file'), '')
  const notices: string[] = []
  const options = { cacheDir: join(cacheDir, 'file'), onNotice: (text: string) => void notices.push(text) }
  expect(await greedyTokens({ model: `${server.url}/gqa`, ...options }, prompt, 4)).toEqual(
    greedy.slice(0, 4),
  )
  expect(notices).toEqual([expect.stringMatching(/^The weight cache cannot be written/)])
})

test('a load is cancelled while its weights come', async () => {
  putFolder(gqa, 'gqa')
  const controller = new AbortController()
  server.hook = ({ url }) => {
    if (url === '/gqa/model.safetensors') controller.abort()
    return false
  }
  const load = createEngine({
    model: `${server.url}/gqa`,
    device: 'reference',
    cacheDir,
    signal: controller.signal,
  })
  await expect(load).rejects.toMatchObject({ code: 'engine/cancelled', name: 'AbortError' })
})
