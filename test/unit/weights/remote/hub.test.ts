// Hub ids against a server that answers as the hub does: revisions, lists of files, redirects to a file server, tokens,
// gated and missing repositories, and loads without a network.

import { createHash } from 'node:crypto'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { readExactly, readText } from '../../../../src/core/files.ts'
import { cachedStore } from '../../../../src/weights/remote/chunkCache.ts'
import { openHubRepository, type HubOptions } from '../../../../src/weights/remote/hub.ts'
import { ggufFileOf } from '../../../../src/weights/modelFiles.ts'
import { portableHashing as hashing } from '../../../../src/weights/remote/sha256.ts'
import { MemoryChunks } from './memoryChunks.ts'
import { TestServer, expectBytes, hastyNetwork, patternOf } from './testServer.ts'

const id = 'someone/model'
const commit = 'c0ffee'.padEnd(40, '0')
const weights = patternOf(300_000)
const list = {
  id,
  sha: commit,
  siblings: [
    { rfilename: 'config.json', blobId: 'b1', size: 2 },
    {
      rfilename: 'model.safetensors',
      blobId: 'b2',
      size: weights.length,
      lfs: {
        sha256: createHash('sha256').update(weights).digest('hex'),
        size: weights.length,
        pointerSize: 134,
      },
    },
    { rfilename: 'a folder/ü.txt', blobId: 'b3', size: 1 },
  ],
}
let hub: TestServer
/** Where the hub redirects requests for large files. */
let fileServer: TestServer

beforeEach(async () => {
  fileServer = await TestServer.start({ 'blob/2': weights })
  hub = await TestServer.start({
    [`${id}/resolve/${commit}/config.json`]: '{}',
    [`${id}/resolve/${commit}/a%20folder/%C3%BC.txt`]: 'x',
  })
  putList(list)
  hub.hook = ({ url }, response) => {
    if (url !== `/${id}/resolve/${commit}/model.safetensors`) return false
    response.writeHead(302, { location: `${fileServer.url}/blob/2` }).end()
    return true
  }
})
afterEach(() => Promise.all([hub.stop(), fileServer.stop()]))

function putList(list: unknown, revision = 'main'): void {
  hub.put(`api/models/${id}/revision/${revision}?blobs=true`, JSON.stringify(list))
}

function open(options: Partial<HubOptions> = {}): ReturnType<typeof openHubRepository> {
  return openHubRepository(id, { network: hastyNetwork(), hashing, endpoint: hub.url, ...options })
}

describe('a repository', () => {
  test('is resolved to a commit whose files are read', async () => {
    const { store, files, commit: found } = await open()
    expect(found).toBe(commit)
    expect([...files.keys()]).toEqual(['config.json', 'model.safetensors', 'a folder/ü.txt'])
    expect(await readText(store, 'config.json', 10)).toBe('{}')
    expect(await readText(store, 'a folder/ü.txt', 10)).toBe('x')
    const source = (await store.open('model.safetensors'))!
    expect(source).toMatchObject({ size: weights.length, sha256: list.siblings[1]!.lfs!.sha256 })
    expectBytes(await readExactly(source, 100_000, 200_000), weights.subarray(100_000))
  })

  test('is not asked for files that it does not list', async () => {
    const { store } = await open()
    const before = hub.requests.length
    expect(await store.open('tokenizer.json')).toBeUndefined()
    expect(hub.requests).toHaveLength(before)
  })

  test('is found under another revision', async () => {
    putList({ ...list, sha: 'f'.repeat(40) }, 'refs%2Fpr%2F1')
    expect((await open({ revision: 'refs/pr/1' })).commit).toBe('f'.repeat(40))
  })

  test('of a hub that tells no sizes is asked for them', async () => {
    putList({ sha: commit, siblings: [{ rfilename: 'config.json' }] })
    const { store } = await open()
    expect((await store.open('config.json'))?.size).toBe(2)
  })

  test('gets the token, the file server does not', async () => {
    const { store } = await open({ token: 'secret' })
    await readExactly((await store.open('model.safetensors'))!, 0, 300_000)
    expect(new Set(hub.requests.map(({ authorization }) => authorization))).toEqual(
      new Set(['Bearer secret']),
    )
    expect(fileServer.requests.map(({ authorization }) => authorization)).toEqual([undefined])
  })

  test('serves wrong bytes for a known hash: the load ends', async () => {
    fileServer.put('blob/2', patternOf(weights.length, 2))
    const { store } = await open()
    const cached = cachedStore(store, { storage: new MemoryChunks(), hashing })
    const source = (await cached.open('model.safetensors'))!
    await expect(readExactly(source, 0, weights.length)).rejects.toMatchObject({ code: 'file/hash' })
  })
})

describe('without a network', () => {
  const read = async (storage: MemoryChunks): Promise<Uint8Array> => {
    const { store } = await open({ storage })
    const cached = cachedStore(store, { storage, hashing })
    const source = (await cached.open('model.safetensors'))!
    return readExactly(source, 0, source.size)
  }

  test('what was read before is served', async () => {
    const storage = new MemoryChunks()
    await read(storage)
    await Promise.all([hub.stop(), fileServer.stop()])
    expectBytes(await read(storage), weights)
  })

  test('nothing is known of a repository that was never read', async () => {
    await hub.stop()
    await expect(open({ storage: new MemoryChunks() })).rejects.toMatchObject({
      code: 'file/network',
      message: expect.stringContaining(
        `someone/model: expected a folder of this name, or an answer of ${hub.url}`,
      ),
    })
  })

  test('a new commit keeps the files that it did not change', async () => {
    const storage = new MemoryChunks()
    await read(storage)
    putList({ ...list, sha: 'd'.repeat(40) })
    fileServer.bytesServed = 0
    expectBytes(await read(storage), weights)
    expect(fileServer.bytesServed).toBe(0)
  })
})

describe('a refusal', () => {
  const refuse = (status: number, code?: string): void => {
    hub.hook = (_, response) => (response.writeHead(status, { 'x-error-code': code ?? '' }).end(), true)
  }

  test.each<[number, string | undefined, string | undefined, string, RegExp]>([
    [
      401,
      'RepoNotFound',
      undefined,
      'weights/missing',
      /no such folder.*private repository needs a token.*HF_TOKEN/,
    ],
    [401, undefined, undefined, 'weights/missing', /Check the name/],
    [404, 'RepoNotFound', 'secret', 'weights/missing', /Check the name, and that the token may read/],
    [
      404,
      'RevisionNotFound',
      undefined,
      'weights/missing',
      /the revision "main".*Name a branch, a tag or a commit/,
    ],
    [401, 'GatedRepo', undefined, 'file/access', /Ask for access at http.*someone\/model, then give a token/],
    [403, undefined, 'secret', 'file/access', /status 403 with the token/],
  ])('with status %i and %s says what to do', async (status, code, token, expectedCode, message) => {
    refuse(status, code)
    await expect(open({ token })).rejects.toMatchObject({
      code: expectedCode,
      message: expect.stringMatching(message),
    })
  })

  test('of the files of a gated repository names its terms', async () => {
    const { store } = await open()
    refuse(401, 'GatedRepo')
    await expect(readText(store, 'config.json', 10)).rejects.toMatchObject({
      code: 'file/access',
      message: expect.stringMatching(/Accept its terms at .*someone\/model.*HF_TOKEN/),
    })
  })

  test('that passes is tried again', async () => {
    let numRequests = 0
    hub.hook = (_, response) => {
      if (numRequests++ > 0) return false
      response.writeHead(429, { 'retry-after': '1' }).end()
      return true
    }
    expect((await open()).commit).toBe(commit)
  })

  test.each<[string, unknown]>([
    ['no list', []],
    ['no commit', { siblings: [] }],
    ['a commit that is a path', { sha: '../../x', siblings: [] }],
    ['no files', { sha: commit }],
    ['a name that leaves the folder', { sha: commit, siblings: [{ rfilename: '../x' }] }],
    ['a size below zero', { sha: commit, siblings: [{ rfilename: 'x', size: -1 }] }],
    ['a hash of another form', { sha: commit, siblings: [{ rfilename: 'x', lfs: { sha256: '0' } }] }],
  ])('of an answer: %s', async (_name, answer) => {
    putList(answer)
    await expect(open()).rejects.toMatchObject({ code: 'file/format' })
  })
})

describe('which files are meant', () => {
  const fileOf = async (paths: string[], file?: string): Promise<string | undefined> => {
    putList({ sha: commit, siblings: paths.map((rfilename) => ({ rfilename })) })
    const { id, files } = await open()
    return ggufFileOf(id, [...files.keys()], file)
  }

  test('safetensors come first, then the only GGUF file', async () => {
    expect(await fileOf(['a.gguf', 'model.safetensors'])).toBeUndefined()
    expect(await fileOf(['a.gguf', 'model.safetensors.index.json'])).toBeUndefined()
    expect(await fileOf(['a.gguf', 'README.md'])).toBe('a.gguf')
    expect(await fileOf(['A.GGUF'])).toBe('A.GGUF')
    expect(await fileOf(['a.gguf', 'model.safetensors'], 'a.gguf')).toBe('a.gguf')
  })

  test('of several GGUF files one must be named; the error lists them', async () => {
    await expect(fileOf(['m-Q8_0.gguf', 'm-F16.gguf'])).rejects.toThrow(
      /got the files m-F16\.gguf, m-Q8_0\.gguf\. Name one of them, such as someone\/model\/m-F16\.gguf/,
    )
    await expect(fileOf(['m-Q8_0.gguf'], 'n.gguf')).rejects.toThrow(/the file n\.gguf, got the files m-Q8_0/)
    await expect(fileOf(['pytorch_model.bin'])).rejects.toThrow(/neither safetensors nor GGUF/)
    await expect(fileOf(['model-00001-of-00002.safetensors'])).rejects.toThrow(/no index\. Fetch/)
  })
})
