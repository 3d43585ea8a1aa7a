// What the cache tells of its models, and what deleting takes away: in memory, and on a disk.

import { createHash } from 'node:crypto'
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { readExactly } from '../../../../src/core/files.ts'
import { diskChunks } from '../../../../src/node/diskChunks.ts'
import { cachedStore } from '../../../../src/weights/remote/chunkCache.ts'
import { writeSealed, type ChunkStorage } from '../../../../src/weights/remote/chunkStorage.ts'
import { modelCache } from '../../../../src/weights/remote/modelCache.ts'
import { openHubRepository } from '../../../../src/weights/remote/hub.ts'
import { httpStore } from '../../../../src/weights/remote/httpStore.ts'
import type { RemoteStore } from '../../../../src/weights/remote/remoteStore.ts'
import { portableHashing as hashing } from '../../../../src/weights/remote/sha256.ts'
import { TestServer, hastyNetwork, patternOf } from './testServer.ts'

const commit = 'a'.repeat(40)
const minute = 60_000
let server: TestServer
let root: string
let storage: ChunkStorage

beforeEach(async () => {
  server = await TestServer.start({
    'm/large.bin': patternOf(2500),
    'm/small.txt': 'small',
    [`owner/hub/resolve/${commit}/a.gguf`]: patternOf(1500),
    'api/models/owner/hub/revision/main?blobs=true': JSON.stringify({
      sha: commit,
      siblings: [{ rfilename: 'a.gguf', size: 1500, blobId: 'b' }],
    }),
  })
  root = await mkdtemp(join(tmpdir(), 'tabhopper-cache-'))
  storage = diskChunks(root)
})
afterEach(async () => {
  await server.stop()
  await rm(root, { recursive: true })
})

const cache = (): ReturnType<typeof modelCache> => modelCache(async () => storage, hashing)

async function read(remote: RemoteStore, path: string, length: number, now: number): Promise<void> {
  const store = cachedStore(remote, { storage, hashing, chunkBytes: 1000, now: () => now })
  const source = await store.open(path)
  if (source !== undefined) await readExactly(source, 0, length)
  await source?.close?.()
}

/** Half of a folder at an address, then all of a hub repository. */
async function fill(): Promise<void> {
  const network = hastyNetwork()
  const folder = httpStore(`${server.url}/m?key=secret`, { network })
  server.put('m/large.bin?key=secret', patternOf(2500))
  await read(folder, 'large.bin', 1000, 5 * minute + 7)
  await read(folder, 'absent', 0, 0)
  const hub = await openHubRepository('owner/hub', { network, hashing, storage, endpoint: server.url })
  await read(hub.store, 'a.gguf', 1500, 9 * minute)
}

test('models are listed with their files, what was used last first', async () => {
  await fill()
  const large = { path: 'large.bin', totalBytes: 2500, cachedBytes: 1000, isVerified: false }
  const gguf = { path: 'a.gguf', totalBytes: 1500, cachedBytes: 1500, isVerified: false }
  const head = { revision: undefined, cachedBytes: 1000, isComplete: false }
  expect(await cache().list()).toEqual([
    {
      model: 'owner/hub',
      revision: 'main',
      cachedBytes: 1500,
      isComplete: true,
      lastUsed: new Date(9 * minute),
      files: [gguf],
    },
    { model: `${server.url}/m`, ...head, lastUsed: new Date(5 * minute), files: [large] },
  ])
})

test('a use is noted, also one without the network', async () => {
  await fill()
  const network = hastyNetwork()
  const { url } = server
  server.put('m/large.bin?key=other', patternOf(2500), '"m/large.bin?key=secret-1"')
  const usedAt = async (): Promise<number> =>
    (await cache().list()).find(({ model }) => model === `${url}/m`)!.lastUsed.getTime()
  await read(httpStore(`${url}/m?key=other`, { network }), 'large.bin', 1, 20 * minute)
  await server.stop()
  await read(httpStore(`${url}/m`, { network }), 'large.bin', 1, 30 * minute)
  expect(await usedAt()).toBe(30 * minute)
  await server.resume()
})

test.each<[name: string, freed: number, left: string[]]>([
  ['owner/hub', 1500, ['m']],
  ['owner/hub@main', 1500, ['m']],
  ['URL/owner/hub', 1500, ['m']],
  ['owner/hub/a.gguf', 1500, ['m']],
  ['owner/hub@main/a.gguf', 1500, ['m']],
  ['URL/owner/hub/tree/main', 1500, ['m']],
  ['URL/owner/hub/resolve/main/a.gguf?download=true', 1500, ['m']],
  ['URL/owner/hub/blob/dev/a.gguf', 0, ['hub', 'm']],
  ['owner/hub/b.gguf', 0, ['hub', 'm']],
  ['URL/m', 1000, ['hub']],
  ['URL/m/?key=changed', 1000, ['hub']],
  ['URL/m/large.bin', 1000, ['hub']],
  ['owner/hub@dev', 0, ['hub', 'm']],
  ['owner', 0, ['hub', 'm']],
])('delete %s', async (name, freed, left) => {
  await fill()
  expect(await cache().delete(name.replace('URL', server.url))).toBe(freed)
  const names = (await cache().list()).filter(({ cachedBytes }) => cachedBytes > 0)
  expect(names.map(({ model }) => model.split('/').at(-1))).toEqual(left)
})

test('a folder of which nothing is there is not listed, and leaves with the rest', async () => {
  const mistyped = httpStore(`${server.url}/n`, { network: hastyNetwork() })
  await read(mistyped, 'config.json', 0, 0)
  // Opened, and not read.
  server.put('n/model_index.json', '{}')
  await read(mistyped, 'model_index.json', 0, 0)
  expect(await readdir(root)).not.toEqual([])
  expect(await cache().list()).toEqual([])
  expect(await cache().delete(`${server.url}/n`)).toBe(0)
  expect(await readdir(root)).toEqual([])
})

test('a hub id means all revisions, and with one only that; a folder of a repository means nothing', async () => {
  const files = { sha: commit, siblings: [{ rfilename: 'a.gguf', size: 1500, blobId: 'b' }] }
  server.put('api/models/owner/hub/revision/v1?blobs=true', JSON.stringify(files))
  const fillBoth = async (): Promise<void> => {
    for (const revision of ['main', 'v1']) {
      const network = hastyNetwork()
      const options = { network, hashing, storage, endpoint: server.url, revision }
      await read((await openHubRepository('owner/hub', options)).store, 'a.gguf', 1500, minute)
    }
  }
  await fillBoth()
  expect(await cache().delete(`${server.url}/owner/hub/tree/main/folder`)).toBe(0)
  expect(await cache().delete('owner/hub@v1')).toBe(1500)
  expect((await cache().list()).map(({ revision }) => revision)).toEqual(['main'])
  await fillBoth()
  expect(await cache().delete('owner/hub')).toBe(3000)
  expect(await cache().list()).toEqual([])
})

test('a model without one of its files, or without weights, is there in part', async () => {
  const folder = httpStore(`${server.url}/m`, { network: hastyNetwork() })
  server.put('m/model.safetensors', patternOf(1500), '"1"')
  const areWhole = async (): Promise<boolean[]> => (await cache().list()).map(({ isComplete }) => isComplete)
  await read(folder, 'small.txt', 5, minute)
  expect(await areWhole()).toEqual([false])
  await read(folder, 'model.safetensors', 1500, minute)
  expect(await areWhole()).toEqual([true])
  expect(await cache().delete(`${server.url}/m/small.txt`)).toBe(5)
  expect(await cache().list()).toMatchObject([
    {
      isComplete: false,
      cachedBytes: 1500,
      files: [{ cachedBytes: 1500 }, { path: 'small.txt', cachedBytes: 0 }],
    },
  ])
  expect(await cache().delete(`${server.url}/m/small.txt`)).toBe(0)
  await read(folder, 'small.txt', 5, minute)
  expect(await areWhole()).toEqual([true])
})

test('a hash that was compared is not remembered of a file that was deleted', async () => {
  const bytes = patternOf(1500)
  const sha256 = createHash('sha256').update(bytes).digest('hex')
  server.put(
    'api/models/owner/hub/revision/main?blobs=true',
    JSON.stringify({
      sha: commit,
      siblings: [
        { rfilename: 'a.gguf', size: 1500, lfs: { sha256 } },
        { rfilename: 'b.json', size: 5, blobId: 'b' },
      ],
    }),
  )
  server.put(`owner/hub/resolve/${commit}/b.json`, 'small')
  const network = hastyNetwork()
  const hub = await openHubRepository('owner/hub', { network, hashing, storage, endpoint: server.url })
  const store = cachedStore(hub.store, { storage, hashing, chunkBytes: 1000 })
  const source = (await store.open('a.gguf'))!
  await readExactly(source, 0, 1500)
  await source.verify?.()
  await source.close?.()
  await read(hub.store, 'b.json', 5, minute)
  const verified = async (): Promise<boolean> => (await cache().list())[0]!.files[0]!.isVerified
  expect(await verified()).toBe(true)
  await cache().delete('owner/hub/a.gguf')
  expect(await verified()).toBe(false)
})

test('a model whose files went one by one is gone', async () => {
  await fill()
  await cache().delete('owner/hub/a.gguf')
  await cache().delete(`${server.url}/m/large.bin`)
  expect(await readdir(root)).toEqual([])
})

test('deleting a model leaves nothing of it on the disk', async () => {
  await fill()
  await cache().delete(`${server.url}/m`)
  await cache().delete('owner/hub')
  expect(await readdir(root)).toEqual([])
})

test('deleting all spares what is not of the cache, and takes what no manifest tells of', async () => {
  await fill()
  await mkdir(join(root, 'photos'))
  await writeFile(join(root, 'photos', 'cat'), '')
  await mkdir(join(root, 'f'.repeat(32)))
  await writeFile(join(root, 'f'.repeat(32), '0.x.tmp'), '')
  expect(await cache().delete()).toBe(2500)
  expect(await readdir(root)).toEqual(['photos'])
})

test('damaged manifests are not listed', async () => {
  await fill()
  const [name] = await storage.list('manifests')
  await storage.write(`manifests/${name}`, [new Uint8Array(100)])
  await writeSealed(storage, hashing, 'manifests/other', new TextEncoder().encode('{"format":2}'))
  expect((await cache().list()).length).toBeLessThan(3)
  expect(await cache().delete()).toBeGreaterThan(0)
})

test('a place that cannot be read is a fault', async () => {
  await writeFile(join(root, 'file'), '')
  storage = diskChunks(join(root, 'file'))
  await expect(cache().list()).rejects.toThrow(/\[file\/io\] cache\.list: .*ENOTDIR.*file.*Check the folder/)
  await expect(cache().delete('m')).rejects.toMatchObject({ code: 'file/io', where: 'cache.delete' })
  storage = { ...storage, list: async () => Promise.reject(new Error('EACCES')) }
  await expect(cache().list()).rejects.toMatchObject({ code: 'file/io', where: 'cache.list' })
})

test('no place is an empty cache', async () => {
  const none = modelCache(async () => undefined, hashing)
  expect([await none.list(), await none.delete()]).toEqual([[], 0])
})
