// The weight cache over a real server: what is fetched once stays, survives crashes, damage, full disks and the loss of
// the network, and never mixes two versions of a file.

import { getEventListeners } from 'node:events'
import { createHash } from 'node:crypto'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { readExactly, type ByteSource, type FileStore } from '../../../../src/core/files.ts'
import { cachedStore, type ChunkCacheOptions } from '../../../../src/weights/remote/chunkCache.ts'
import { writeSealed, type ChunkStorage } from '../../../../src/weights/remote/chunkStorage.ts'
import { httpStore } from '../../../../src/weights/remote/httpStore.ts'
import type { RemoteStore } from '../../../../src/weights/remote/remoteStore.ts'
import { portableHashing } from '../../../../src/weights/remote/sha256.ts'
import { TransferMeter } from '../../../../src/weights/remote/transferMeter.ts'
import type { LoadProgress } from '../../../../src/api/types.ts'
import { expectRising, phaseRuns } from '../../../helpers/progress.ts'
import { MemoryChunks } from './memoryChunks.ts'
import { TestServer, expectBytes, hastyNetwork, patternOf } from './testServer.ts'

const chunkBytes = 100_000
const large = patternOf(950_000)
const numChunks = 10
let server: TestServer
let storage: MemoryChunks
let notices: string[]

beforeEach(async () => {
  server = await TestServer.start({ 'm/large.bin': large, 'm/small.txt': 'small', 'm/empty.txt': '' })
  storage = new MemoryChunks()
  notices = []
})
afterEach(() => server.stop())

/** As a new process would open it. */
function openStore(options: Partial<ChunkCacheOptions> = {}, sha256?: string): FileStore {
  const http = httpStore(`${server.url}/m`, { network: hastyNetwork(), signal: options.signal })
  const remote: RemoteStore = {
    ...http,
    async open(path, options) {
      const source = await http.open(path, options)
      return source && { ...source, sha256, read: source.read.bind(source) }
    },
  }
  return cachedStore(remote, {
    storage,
    hashing: portableHashing,
    chunkBytes,
    onNotice: (message) => notices.push(message),
    ...options,
  })
}

async function readAll(store: FileStore, path = 'large.bin'): Promise<Uint8Array> {
  const source = (await store.open(path))!
  try {
    return await readExactly(source, 0, source.size)
  } finally {
    await source.close?.()
  }
}

/** Body bytes that the server sends while `body` runs. */
async function bytesServed(body: () => Promise<unknown>): Promise<number> {
  const before = server.bytesServed
  await body()
  return server.bytesServed - before
}

describe('reading', () => {
  test('any range gives the bytes of the file', async () => {
    const source = (await openStore().open('large.bin'))!
    for (const [offset, length] of [
      [99_999, 2],
      [0, 100_000],
      [100_000, 100_000],
      [50_000, 800_000],
      [949_999, 1],
      [300_000, 0],
    ] as const) {
      expectBytes(await readExactly(source, offset, length), large.subarray(offset, offset + length))
    }
    await source.close?.()
  })

  test('a file again fetches nothing but one byte, to see whether it changed', async () => {
    expect(await bytesServed(() => readAll(openStore()))).toBe(large.length)
    const again = await bytesServed(async () => expectBytes(await readAll(openStore()), large))
    expect(again).toBe(1)
    expect(storage.chunkKeys).toHaveLength(numChunks)
  })

  test('on and on fetches one chunk ahead, and never the first chunks unasked', async () => {
    const source = (await openStore().open('large.bin'))!
    await readExactly(source, 0, 10)
    expect(storage.chunkKeys).toHaveLength(1)
    await readExactly(source, chunkBytes, 10)
    await expect.poll(() => storage.chunkKeys.length).toBe(3)
    await source.close?.()
  })

  test('without a storage keeps nothing and gives the same bytes', async () => {
    const store = openStore({ storage: undefined })
    expect(await bytesServed(async () => expectBytes(await readAll(store), large))).toBe(large.length)
    expect(storage.entries.size).toBe(0)
  })

  test('files that the server gives no version of are not kept, which is told once', async () => {
    server.files.set('/m/large.bin', { bytes: large })
    server.files.set('/m/small.txt', { bytes: new TextEncoder().encode('small') })
    const store = openStore()
    expectBytes(await readAll(store), large)
    expectBytes(await readAll(store, 'small.txt'), new TextEncoder().encode('small'))
    expect(storage.chunkKeys).toEqual([])
    expect(notices).toEqual([
      'The weight cache cannot keep files of m, such as large.bin: their server gives neither ETag nor Last-Modified, which would tell when they change; they are fetched at every load.',
    ])
  })

  test('of many files at once listens once to the signal, and no longer than they are open', async () => {
    const { signal } = new AbortController()
    const store = openStore({ signal })
    const sources = await Promise.all(Array.from({ length: 20 }, () => store.open('large.bin')))
    await Promise.all(sources.map((source) => source!.read(0, 10)))
    expect(getEventListeners(signal, 'abort')).toHaveLength(1)
    for (const source of sources) await source!.close?.()
    expect(getEventListeners(signal, 'abort')).toEqual([])
  })

  test('small, empty and absent files works', async () => {
    const store = openStore()
    expectBytes(await readAll(store, 'small.txt'), new TextEncoder().encode('small'))
    expect(await readAll(store, 'empty.txt')).toHaveLength(0)
    expect(await store.open('absent.txt')).toBeUndefined()
  })

  test('ends when its signal fires, and the chunk goes on for others', async () => {
    const source = (await openStore().open('large.bin'))!
    const controller = new AbortController()
    const aborted = source.read(0, 10, controller.signal)
    const other = source.read(0, 10)
    controller.abort()
    await expect(aborted).rejects.toMatchObject({ code: 'engine/cancelled' })
    expectBytes(await other, large.subarray(0, 10))
  })

  test("ends when the store's signal fires", async () => {
    const controller = new AbortController()
    const source = (await openStore({ signal: controller.signal }).open('large.bin'))!
    server.hook = () => (controller.abort(), never())
    await expect(source.read(500_000, 10)).rejects.toMatchObject({ code: 'engine/cancelled' })
  })
})

/** A promise for what a dead process does next. */
const never = (): Promise<never> => new Promise(() => {})

describe('a load that dies', () => {
  test.each<[when: string, stored: number, die: (stored: number) => void]>([
    ...[0, 1, 4, 9].map((stored): [string, number, (stored: number) => void] => [
      'before a write',
      stored,
      (stored) => (storage.onWrite = async () => (storage.chunkKeys.length === stored ? never() : undefined)),
    ]),
    ...[1, 4, 9].map((stored): [string, number, (stored: number) => void] => [
      'in the middle of a body',
      stored,
      (stored) => {
        server.hook = (request, response) => {
          if (!request.headers.range?.startsWith(`bytes=${stored * chunkBytes}-`)) return false
          response.writeHead(206).write(large.subarray(0, 30_000))
          server.bytesServed += 30_000
          return true
        }
      },
    ]),
  ])(
    '%s with %i chunks stored is resumed, and fetches at most one chunk again',
    async (_when, stored, die) => {
      die(stored)
      const first = await bytesServed(async () => {
        const source = (await openStore().open('large.bin'))!
        void readExactly(source, 0, large.length).catch(() => {})
        await expect.poll(() => storage.chunkKeys.length).toBe(stored)
        await new Promise((resolve) => setTimeout(resolve, 50))
      })
      expect(storage.chunkKeys).toHaveLength(stored)
      server.hook = () => false
      storage.onWrite = async () => {}
      const rest = await bytesServed(async () => expectBytes(await readAll(openStore()), large))
      expect(first + rest).toBeLessThanOrEqual(large.length + chunkBytes + 1)
    },
  )

  test.each([[[0, 5000]], [[99_999]], [[40_000, 40_000, 40_000]]])(
    'does not die of connections that break after %j bytes',
    async (cuts) => {
      const source = (await openStore().open('large.bin'))!
      server.cuts = [...cuts]
      const served = await bytesServed(async () =>
        expectBytes(await readExactly(source, 0, large.length), large),
      )
      expect(served).toBe(large.length - 65_536)
    },
  )
})

describe('a stored chunk that is wrong is fetched again, alone', () => {
  test.each<[string, (key: string) => void]>([
    ['one bit', (key) => void (storage.entries.get(key)![77_777]! ^= 1)],
    ['its hash', (key) => void (storage.entries.get(key)![chunkBytes]! ^= 1)],
    ['its length', (key) => storage.entries.set(key, storage.entries.get(key)!.slice(1))],
    ['its place', (key) => storage.entries.set(key, storage.entries.get(storage.chunkKeys[6]!)!)],
    ['its being there', (key) => storage.entries.delete(key)],
  ])('%s', async (_what, damage) => {
    await readAll(openStore())
    damage(storage.chunkKeys[5]!)
    const served = await bytesServed(async () => expectBytes(await readAll(openStore()), large))
    expect(served).toBe(chunkBytes + 1)
    expect(await bytesServed(() => readAll(openStore()))).toBe(1)
  })
})

describe('a file that changed on the server', () => {
  test('replaces the stored one', async () => {
    await readAll(openStore())
    const changed = patternOf(large.length, 2)
    server.put('m/large.bin', changed, '"new"')
    expectBytes(await readAll(openStore()), changed)
    expect(storage.chunkKeys).toHaveLength(numChunks)
  })

  test('in the middle of a load ends it, and the next load gets the new one', async () => {
    const source = (await openStore().open('large.bin'))!
    await readExactly(source, 0, 250_000)
    const changed = patternOf(large.length, 2)
    server.put('m/large.bin', changed, '"new"')
    await expect(readExactly(source, 250_000, 500_000)).rejects.toMatchObject({ code: 'file/changed' })
    await source.close?.()
    expectBytes(await readAll(openStore()), changed)
  })
})

describe('the hash of the whole file', () => {
  const sha256 = createHash('sha256').update(large).digest('hex')

  test('is compared once, in whatever order the file was read', async () => {
    const source = (await openStore({}, sha256).open('large.bin'))!
    for (const at of [900_000, 0, 500_000, 100_000, 300_000]) await readExactly(source, at, 50_000)
    expectBytes(await readExactly(source, 0, large.length), large)
    await source.close?.()
    const manifest = [...storage.entries].find(([key]) => key.startsWith('manifests/'))![1]
    expect(JSON.parse(new TextDecoder().decode(manifest.subarray(0, -32)))).toMatchObject({
      sha256,
      isVerified: true,
    })
  })

  test.each([true, false])(
    'that is wrong ends the load and removes the file; read in order: %s',
    async (inOrder) => {
      const source = (await openStore(
        {},
        sha256.replace(/^./, (digit) => (digit === '0' ? '1' : '0')),
      ).open('large.bin'))!
      const reads = async (): Promise<void> => {
        if (!inOrder) await readExactly(source, 850_000, 100_000)
        await readExactly(source, 0, large.length)
      }
      await expect(reads()).rejects.toMatchObject({ code: 'file/hash' })
      await expect(readExactly(source, 0, 1)).rejects.toMatchObject({ code: 'file/hash' })
      expect(storage.chunkKeys).toEqual([])
    },
  )

  test('is compared again when a chunk had to be fetched again', async () => {
    await readAll(openStore({}, sha256))
    storage.entries.delete(storage.chunkKeys[5]!)
    server.put('m/large.bin', patternOf(large.length, 2))
    const source = (await openStore({}, sha256).open('large.bin'))!
    await expect(readExactly(source, 0, large.length)).rejects.toMatchObject({ code: 'file/hash' })
  })

  test('is compared again, too, when there is no room for that chunk', async () => {
    await readAll(openStore({}, sha256))
    storage.entries.delete(storage.chunkKeys[5]!)
    storage.capacity = 0
    server.put('m/large.bin', patternOf(large.length, 2))
    const source = (await openStore({}, sha256).open('large.bin'))!
    const reads = async (): Promise<void> => {
      await readExactly(source, 0, large.length)
      await source.verify?.()
    }
    await expect(reads()).rejects.toMatchObject({ code: 'file/hash' })
  })

  test('is compared at the next load when the process died before', async () => {
    await readAll(openStore())
    // Chunks without a comparison: as if the process had been killed before it.
    const [key, bytes] = [...storage.entries].find(([key]) => key.startsWith('manifests/'))!
    const manifest = JSON.parse(new TextDecoder().decode(bytes.subarray(0, -32))) as object
    const wrong = sha256.split('').reverse().join('')
    const changed = new TextEncoder().encode(JSON.stringify({ ...manifest, sha256: wrong }))
    await writeSealed(storage, portableHashing, key, changed)
    const source = (await openStore({}, wrong).open('large.bin'))!
    await expect(readExactly(source, 0, 10)).rejects.toMatchObject({ code: 'file/hash' })
  })
})

describe('the hash of the whole file, where nothing is kept', () => {
  const sha256 = createHash('sha256').update(large).digest('hex')
  const wrong = createHash('sha256').update('other').digest('hex')
  const open = async (sha256: string, options: Partial<ChunkCacheOptions> = {}): Promise<ByteSource> =>
    (await openStore({ storage: undefined, ...options }, sha256).open('large.bin'))!

  test('is compared as bytes pass in order, each of which comes once', async () => {
    const served = await bytesServed(async () => {
      const source = await open(sha256)
      expectBytes(await readExactly(source, 0, large.length), large)
      await source.verify?.()
    })
    expect(served).toBe(large.length)
    const source = await open(wrong)
    await readExactly(source, 0, large.length - chunkBytes)
    const rejection = { code: 'file/hash', message: expect.stringContaining(sha256) }
    await expect(readExactly(source, large.length - 1, 1)).rejects.toMatchObject(rejection)
    await expect(readExactly(source, 0, 1)).rejects.toMatchObject(rejection)
    await expect(source.verify?.()).rejects.toMatchObject(rejection)
  })

  test('is compared whatever the order, at the latest when asked for', async () => {
    const readSome = async (source: ByteSource): Promise<void> => {
      for (const at of [900_000, 0, 500_000, 100_000, 300_000]) await readExactly(source, at, 50_000)
    }
    const right = await open(sha256)
    await readSome(right)
    await right.verify?.()
    expectBytes(await readExactly(right, 0, large.length), large)
    const other = await open(wrong)
    await readSome(other)
    await expect(other.verify?.()).rejects.toMatchObject({ code: 'file/hash' })
  })

  test('takes chunks that came early from memory', async () => {
    const served = await bytesServed(async () => {
      const source = await open(sha256)
      for (const index of [0, 2, 3, 1, 5, 4, 6, 8, 7, 9]) await readExactly(source, index * chunkBytes, 10)
      await source.verify?.()
    })
    expect(served).toBe(large.length)
  })

  test('is compared when nothing was read, and then for nothing twice', async () => {
    await expect((await open(wrong)).verify?.()).rejects.toMatchObject({ code: 'file/hash' })
    const source = await open(sha256)
    await source.verify?.()
    expect(await bytesServed(async () => source.verify?.())).toBe(0)
  })

  test('does not hide that bytes were others before', async () => {
    // Room for two chunks: the first ones have to be fetched again.
    const read = async (sha256: string): Promise<void> => {
      const source = await open(sha256, { chunkBytes: 7 * 2 ** 20 })
      await readExactly(source, 14 * 2 ** 20, 10)
      await readExactly(source, 0, 10)
      await readExactly(source, 7 * 2 ** 20, 10)
      server.put('m/large.bin', whole)
      await source.verify?.()
    }
    const whole = new Uint8Array(21 * 2 ** 20)
    const damaged = whole.slice()
    damaged[15 * 2 ** 20] = 1
    const digest = createHash('sha256').update(whole).digest('hex')
    server.put('m/large.bin', damaged)
    await expect(read(digest)).rejects.toMatchObject({ code: 'file/changed' })
    await read(digest)
  })

  test('ends when its signal fires', async () => {
    const source = await open(sha256)
    await readExactly(source, 0, 10)
    const controller = new AbortController()
    server.hook = () => (controller.abort(), never())
    await expect(source.verify?.(controller.signal)).rejects.toMatchObject({ code: 'engine/cancelled' })
  })

  test.each([0, 350_000])('is compared where the storage is full after %i bytes', async (capacity) => {
    storage.capacity = capacity
    const right = await open(sha256, { storage })
    await readExactly(right, 0, large.length)
    await right.verify?.()
    storage.entries.clear()
    const other = await open(wrong, { storage })
    const reads = async (): Promise<void> => {
      await readExactly(other, 0, large.length)
      await other.verify?.()
    }
    await expect(reads()).rejects.toMatchObject({ code: 'file/hash' })
    expect(storage.chunkKeys).toEqual([])
  })
})

describe('the hash of a file that was read in part', () => {
  const sha256 = createHash('sha256').update(large).digest('hex')

  test('is compared when asked for, and the rest is kept', async () => {
    const source = (await openStore({}, sha256).open('large.bin'))!
    await readExactly(source, 200_000, 10)
    await source.verify?.()
    expect(storage.chunkKeys).toHaveLength(numChunks)
    await server.stop()
    expectBytes(await readAll(openStore({}, sha256)), large)
  })

  test('is not compared without a network: what is there carries its own', async () => {
    const source = (await openStore({}, sha256).open('large.bin'))!
    await readExactly(source, 0, 10)
    await server.stop()
    const offline = (await openStore({}, sha256).open('large.bin'))!
    await readExactly(offline, 0, 10)
    await offline.verify?.()
    expectBytes(await readExactly(offline, 0, 10), large.subarray(0, 10))
  })
})

describe('a storage that fails', () => {
  test('because it is full is given up with one notice, and the load goes on', async () => {
    storage.capacity = 350_000
    const store = openStore()
    expectBytes(await readAll(store), large)
    await readAll(store, 'small.txt')
    expect(notices).toEqual([expect.stringMatching(/cannot be written \(ENOSPC.*without it/)])
    // What fitted is used all the same.
    expect(await bytesServed(() => readAll(openStore()))).toBe(large.length - 3 * chunkBytes + 1)
  })

  test('for one file after the other is told about once', async () => {
    const paths = ['large.bin', 'small.txt']
    for (const path of paths) await readAll(openStore(), path)
    for (const path of paths) server.put(`m/${path}`, 'changed', '"new"')
    storage.capacity = 0
    const store = openStore()
    for (const path of paths) expectBytes(await readAll(store, path), new TextEncoder().encode('changed'))
    expect(notices).toHaveLength(1)
  })

  test('in every way is as none', async () => {
    const broken = async (): Promise<never> => {
      throw new Error('EACCES')
    }
    const names = ['read', 'write', 'delete', 'list', 'folders', 'deleteFolder', 'freeBytes'] as const
    const storage = Object.fromEntries(names.map((name) => [name, broken])) as unknown as ChunkStorage
    const store = openStore({ storage })
    expectBytes(await readAll(store), large)
    expect(notices).toHaveLength(1)
  })
})

describe('a storage that says what it can still hold', () => {
  test('is not filled with a file that it cannot hold', async () => {
    storage.free = large.length - 1
    expectBytes(await readAll(openStore()), large)
    expect([...storage.entries.keys()]).toEqual([])
    expect(notices).toEqual([
      expect.stringMatching(/has no room for 928 KiB of large\.bin, 928 KiB are left/),
    ])
  })

  test('holds a file that just fits, and the missing part of one', async () => {
    storage.free = large.length
    await readAll(openStore())
    storage.free = chunkBytes
    storage.entries.delete(storage.chunkKeys[3]!)
    await readAll(openStore())
    expect(storage.chunkKeys).toHaveLength(numChunks)
    expect(notices).toEqual([])
  })

  test('counts what other open files will write', async () => {
    storage.free = large.length + chunkBytes
    server.put('m/other.bin', large)
    const store = openStore()
    const first = (await store.open('large.bin'))!
    await readExactly(first, 0, 10)
    storage.free -= chunkBytes
    await store.open('other.bin')
    expect(notices).toEqual([expect.stringMatching(/of other\.bin, 97\.7 KiB are left/)])
  })

  test('that cannot say is written to', async () => {
    storage.freeBytes = () => Promise.reject(new Error('no figures'))
    await readAll(openStore())
    expect(storage.chunkKeys).toHaveLength(numChunks)
  })
})

describe('the meter', () => {
  const sha256 = createHash('sha256').update(large).digest('hex')
  let seen: LoadProgress[]
  const meter = (): TransferMeter => new TransferMeter((progress) => seen.push(progress))
  beforeEach(() => {
    seen = []
    server.put('m/model.gguf', large)
  })

  test('counts every byte once, then the comparison with the hash', async () => {
    const store = openStore({ meter: meter() }, sha256)
    const source = (await store.open('model.gguf'))!
    for (const at of [900_000, 0, 400_000]) await readExactly(source, at, 50_000)
    await readExactly(source, 0, large.length)
    await source.close?.()
    expectRising(seen)
    expect(phaseRuns(seen)).toEqual(['download', 'verify'])
    const all = { loadedBytes: large.length, totalBytes: large.length }
    expect(seen.findLast(({ phase }) => phase === 'download')).toEqual({
      phase: 'download',
      ...all,
      cachedBytes: 0,
    })
    expect(seen.at(-1)).toEqual({ phase: 'verify', ...all })
    // Bytes are told of as they come, not chunk by chunk.
    expect(seen.some((each) => 'loadedBytes' in each && each.loadedBytes % 50_000 !== 0)).toBe(true)
  })

  test('tells what the cache had', async () => {
    await readAll(openStore(), 'model.gguf')
    storage.entries.delete(storage.chunkKeys[3]!)
    await readAll(openStore({ meter: meter() }), 'model.gguf')
    expect(seen.at(-1)).toMatchObject({ loadedBytes: large.length, cachedBytes: large.length - chunkBytes })
  })

  test('counts a chunk once that comes twice, for want of a storage', async () => {
    const bytes = new Uint8Array(5 * 2 ** 22)
    server.put('m/model.gguf', bytes)
    const source = (await openStore({ meter: meter(), storage: undefined, chunkBytes: 2 ** 22 }).open(
      'model.gguf',
    ))!
    const served = await bytesServed(async () => {
      for (const at of [0, 2, 4, 1, 3, 0]) await readExactly(source, at * 2 ** 22, 10)
    })
    expect(served).toBeGreaterThan(bytes.length)
    expectRising(seen)
    expect(seen.at(-1)).toMatchObject({ loadedBytes: bytes.length })
  })
})

describe('without a network', () => {
  test('what was read before is served, what was absent is absent', async () => {
    const before = openStore()
    await readAll(before)
    await readAll(before, 'small.txt')
    await before.open('absent.txt')
    await server.stop()
    const store = openStore()
    expectBytes(await readAll(store), large)
    expect((await readAll(store, 'small.txt')).length).toBe(5)
    expect(await store.open('absent.txt')).toBeUndefined()
  })

  test('what was read in part is served in part', async () => {
    const source = (await openStore().open('large.bin'))!
    await readExactly(source, 0, 10)
    await server.stop()
    const offline = (await openStore().open('large.bin'))!
    expectBytes(await readExactly(offline, 0, chunkBytes), large.subarray(0, chunkBytes))
    await expect(readExactly(offline, chunkBytes, 1)).rejects.toMatchObject({ code: 'file/network' })
  })

  test('a file that was never read fails', async () => {
    await readAll(openStore(), 'small.txt')
    await server.stop()
    await expect(openStore().open('large.bin')).rejects.toMatchObject({ code: 'file/network' })
  })

  test('for a moment only: missing chunks come when it is back', async () => {
    const source = (await openStore().open('large.bin'))!
    await readExactly(source, 0, 10)
    server.hook = (_, response) => (response.writeHead(503).end(), true)
    const offline = (await openStore().open('large.bin'))!
    server.hook = () => false
    expectBytes(await readExactly(offline, 0, large.length), large)
  })
})

test('two loads at once into one storage both get the file', async () => {
  const [a, b] = await Promise.all([readAll(openStore()), readAll(openStore())])
  expectBytes(a, large)
  expectBytes(b, large)
  expect(await bytesServed(() => readAll(openStore()))).toBe(1)
})
