// Files over HTTP, from a real server: ranges, servers without them, retries, resuming, changes, and where tokens go.

import type { ServerResponse } from 'node:http'
import { gzipSync } from 'node:zlib'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { readExactly, readText } from '../../../../src/core/files.ts'
import { steadyNetwork } from '../../../../src/node/steadyFetch.ts'
import { httpStore, splitFileUrl } from '../../../../src/weights/remote/httpStore.ts'
import { platformNetwork } from '../../../../src/weights/remote/network.ts'
import type { RemoteStore } from '../../../../src/weights/remote/remoteStore.ts'
import { TestServer, expectBytes, hastyNetwork, patternOf } from './testServer.ts'

const large = patternOf(300_000)
let server: TestServer
let pauses: number[]
let store: RemoteStore

describe.each([
  ['the platform', platformNetwork],
  ['node:http', steadyNetwork],
])('over %s:', (_, base) => {
  beforeEach(async () => {
    server = await TestServer.start({ 'm/large.bin': large, 'm/small.txt': 'small', 'm/empty.txt': '' })
    pauses = []
    store = httpStore(`${server.url}/m`, { network: hastyNetwork(pauses, base) })
  })
  afterEach(() => server.stop())

  async function readLarge(signal?: AbortSignal): Promise<Uint8Array> {
    const source = await store.open('large.bin')
    return readExactly(source!, 0, large.length, signal)
  }

  describe('a server with Range', () => {
    test('gives size, version and any part', async () => {
      const source = (await store.open('large.bin'))!
      expect(source).toMatchObject({ name: 'm/large.bin', size: large.length, version: '"m/large.bin-1"' })
      for (const [offset, length] of [
        [0, 8],
        [65_530, 20],
        [65_536, 1],
        [200_001, 99_999],
        [300_000, 0],
      ] as const) {
        expectBytes(await readExactly(source, offset, length), large.slice(offset, offset + length))
      }
    })

    test('is asked for each byte at most once', async () => {
      expectBytes(await readLarge(), large)
      expect(server.bytesServed).toBe(large.length)
      expect(server.requests.map(({ range }) => range)).toEqual(['bytes=0-65535', 'bytes=65536-299999'])
    })

    test('needs one request for a small file, and serves an empty one', async () => {
      expect(await readText(store, 'small.txt', 100)).toBe('small')
      expect(server.requests).toHaveLength(1)
      expect(await readText(store, 'empty.txt', 100)).toBe('')
    })

    test.each([404, 410])('has no file at status %i', async (status) => {
      server.hook = (_, response) => (response.writeHead(status).end(), true)
      expect(await store.open('large.bin')).toBeUndefined()
    })

    test('has no file where a page comes instead', async () => {
      server.files.set('/m/gone.json', { bytes: large.slice(0, 10), type: 'text/html; charset=utf-8' })
      server.files.set('/m/page.html', { bytes: large.slice(0, 10), type: 'text/html' })
      expect(await store.open('gone.json')).toBeUndefined()
      expect((await store.open('page.html'))?.size).toBe(10)
    })

    test('cannot be made to serve what is outside the folder', async () => {
      server.put('secret', 'secret')
      await expect(store.open('../secret')).rejects.toThrow(/a path inside the folder/)
      await expect(store.open('..')).rejects.toThrow(/a path inside the folder/)
      expect(await store.open('..%2Fsecret')).toBeUndefined()
      expect(server.requests.map(({ path }) => path)).toEqual(['/m/..%252Fsecret'])
    })
  })

  describe('a server without Range', () => {
    beforeEach(() => {
      server.supportsRange = false
    })

    test('is asked once for the whole of a file that is not large', async () => {
      expectBytes(await readLarge(), large)
      expect(server.requests).toHaveLength(1)
    })

    test('gives a part in the middle to those that have a copy of the rest', async () => {
      const source = (await store.open('large.bin', { hasCopy: true }))!
      expectBytes(await readExactly(source, 200_000, 10), large.subarray(200_000, 200_010))
    })

    test('is refused a large file before its body comes', async () => {
      server.hook = (_, response) => (response.writeHead(200, { 'content-length': 2 ** 40 }).write('x'), true)
      await expect(store.open('large.bin')).rejects.toMatchObject({
        code: 'file/io',
        message: expect.stringMatching(/supports Range, or download/),
      })
    })

    test('that stops in the middle of a file is asked again', async () => {
      server.cuts = [1000]
      expectBytes(await readLarge(), large)
      expect(pauses).toHaveLength(1)
    })
  })

  describe('a connection that breaks', () => {
    test.each([
      [[0]],
      [[1]],
      [[65_536, 168_927]],
      [[30_000, 10, 100_000, 0, 50_000]],
      [Array<number>(12).fill(1000)],
    ])('after %j bytes is resumed there', async (cuts) => {
      const source = (await store.open('large.bin'))!
      server.cuts = [...cuts]
      server.bytesServed = 0
      expectBytes(await readExactly(source, 0, large.length), large)
      expect(server.bytesServed).toBe(large.length - 65_536)
      expect(pauses).toHaveLength(cuts.length)
    })

    test('is retried with growing pauses, and given up', async () => {
      const source = (await store.open('large.bin'))!
      await server.stop()
      await expect(readExactly(source, 100_000, 1)).rejects.toMatchObject({
        code: 'file/network',
        message: expect.stringMatching(/ECONNREFUSED|other side closed/),
      })
      expect(pauses).toEqual([300, 600, 1200, 2400, 4800, 9600, 10_000].map((ms) => ms * 0.75))
    })

    test.each([
      [
        'after a byte',
        (response: ServerResponse) => response.writeHead(206, { 'content-range': 'bytes 0-9/10' }).write('x'),
      ],
      ['before it answers', () => {}],
    ])('is given up when it stalls %s', async (_when, stall) => {
      store = httpStore(`${server.url}/m`, { network: { ...hastyNetwork(pauses, base), stallMs: 40 } })
      server.hook = (_, response, index) => {
        if (index === 0) stall(response)
        return index === 0
      }
      expectBytes(await readLarge(), large)
      expect(pauses).toHaveLength(1)
    })
  })

  describe('a status', () => {
    const failOnce = (status: number, headers: Record<string, string> = {}): void => {
      server.hook = (_, response, index) => {
        if (index === 1) response.writeHead(status, headers).end()
        return index === 1
      }
    }

    test.each([408, 425, 429, 500, 502, 503, 504])('of %i is tried again', async (status) => {
      failOnce(status)
      expectBytes(await readLarge(), large)
      expect(pauses).toEqual([225])
    })

    test.each([
      ['7', 7000],
      [new Date(90_000).toUTCString(), 60_000],
    ])('with Retry-After %s is waited for', async (value, ms) => {
      store = httpStore(`${server.url}/m`, { network: { ...hastyNetwork(pauses, base), now: () => 30_000 } })
      failOnce(429, { 'retry-after': value })
      expectBytes(await readLarge(), large)
      expect(pauses).toEqual([ms])
    })

    test('with a Retry-After of an hour ends it with that figure', async () => {
      failOnce(429, { 'retry-after': '3600' })
      await expect(readLarge()).rejects.toThrow(/\[file\/network\].*asks to wait 3600 s/)
    })

    test.each([401, 403])('of %i asks for a token', async (status) => {
      server.hook = (_, response) => (response.writeHead(status).end(), true)
      await expect(readLarge()).rejects.toMatchObject({
        code: 'file/access',
        message: expect.stringMatching(/without a token\. Give a token/),
      })
      expect(pauses).toEqual([])
    })

    test('of 418 is not tried again', async () => {
      failOnce(418)
      await expect(readLarge()).rejects.toThrow(/\[file\/io\].*got status 418/)
      expect(pauses).toEqual([])
    })
  })

  describe('a file that changes while it is read', () => {
    test.each<[string, () => void]>([
      ['another ETag', () => server.put('m/large.bin', large, '"other"')],
      ['another size', () => server.put('m/large.bin', large.slice(0, 250_000))],
      ['an end before the part', () => server.put('m/large.bin', large.slice(0, 10))],
    ])('is refused: %s', async (_name, change) => {
      const source = (await store.open('large.bin'))!
      change()
      await expect(readExactly(source, 200_000, 100_000)).rejects.toMatchObject({ code: 'file/changed' })
    })

    test('is refused between two pieces of one part, too', async () => {
      const source = (await store.open('large.bin'))!
      server.cuts = [1000]
      server.hook = (_, __, index) => {
        if (index === 2) server.put('m/large.bin', large, '"other"')
        return false
      }
      await expect(readExactly(source, 65_536, 100_000)).rejects.toMatchObject({ code: 'file/changed' })
    })

    test('is known by its date where there is no ETag', async () => {
      const dated = (date: string) => {
        server.hook = (_, response) => (response.setHeader('last-modified', date), false)
      }
      server.files.set('/m/large.bin', { bytes: large })
      dated('Mon, 01 Jan 2024 00:00:00 GMT')
      const source = (await store.open('large.bin'))!
      expect(source.version).toBe('Mon, 01 Jan 2024 00:00:00 GMT')
      dated('Tue, 02 Jan 2024 00:00:00 GMT')
      await expect(readExactly(source, 200_000, 1)).rejects.toMatchObject({ code: 'file/changed' })
    })

    test('is refused when a part comes compressed', async () => {
      const source = (await store.open('large.bin'))!
      server.hook = (_, response) => {
        const headers = { 'content-range': 'bytes 200000-200009/300000', 'content-encoding': 'gzip' }
        response.writeHead(206, headers).end(gzipSync(large.subarray(0, 10)))
        return true
      }
      await expect(readExactly(source, 200_000, 10)).rejects.toThrow(/\[file\/io\].*got gzip/)
    })

    test('is refused when the server answers with another part', async () => {
      const source = (await store.open('large.bin'))!
      server.hook = (_, response) => {
        response.writeHead(206, { 'content-range': 'bytes 7-8/300000' }).end('ab')
        return true
      }
      await expect(readExactly(source, 200_000, 2)).rejects.toThrow(
        /expected bytes from 200000, got bytes 7-8/,
      )
    })
  })

  test('an abort ends a read that is under way', async () => {
    const source = (await store.open('large.bin'))!
    const controller = new AbortController()
    server.hook = (_, response) => {
      response.writeHead(206, { 'content-range': 'bytes 65536-299999/300000' }).write('x')
      setTimeout(() => controller.abort(), 10)
      return true
    }
    await expect(readExactly(source, 0, large.length, controller.signal)).rejects.toMatchObject({
      code: 'engine/cancelled',
      name: 'AbortError',
    })
  })

  test('an abort ends opening and the pauses between attempts', async () => {
    const controller = new AbortController()
    store = httpStore(`${server.url}/m`, {
      network: { ...hastyNetwork([], base), sleep: async () => controller.abort() },
      signal: controller.signal,
    })
    server.hook = (_, response) => (response.writeHead(503).end(), true)
    await expect(store.open('large.bin')).rejects.toMatchObject({ code: 'engine/cancelled' })
    expect(server.requests).toHaveLength(1)
  })

  describe('a token', () => {
    test('goes to the server of the address, and not to where that one redirects', async () => {
      await using other = await TestServer.start({ 'm/large.bin': large })
      store = httpStore(`${server.url}/m`, { network: hastyNetwork([], base), token: 'secret' })
      server.hook = (_, response) => (
        response.writeHead(302, { location: `${other.url}/m/large.bin` }).end(),
        true
      )
      expectBytes(await readLarge(), large)
      expect(server.requests.map(({ authorization }) => authorization)).toEqual(['Bearer secret'])
      // The second part is asked for where the first one was found.
      expect(other.requests.map(({ authorization }) => authorization)).toEqual([undefined, undefined])
    })

    test('is sent again when the redirect has expired', async () => {
      await using other = await TestServer.start({ 'm/large.bin': large })
      store = httpStore(`${server.url}/m`, { network: hastyNetwork([], base), token: 'secret' })
      server.hook = (_, response, index) => {
        response.writeHead(302, { location: `${other.url}/m/large.bin?${index}` }).end()
        return true
      }
      other.hook = (request, response, index) => {
        request.url = request.url!.replace(/\?\d$/, '')
        if (index === 1) response.writeHead(403).end()
        return index === 1
      }
      other.files.set('/m/large.bin?0', other.files.get('/m/large.bin')!)
      other.files.set('/m/large.bin?1', other.files.get('/m/large.bin')!)
      expectBytes(await readLarge(), large)
      expect(server.requests).toHaveLength(2)
      expect(other.requests.map(({ path }) => path.at(-1))).toEqual(['0', '0', '1'])
    })

    test.each<[string, (other: TestServer) => void]>([
      [
        'has expired with status 400',
        (other) => (other.hook = (_, response) => (response.writeHead(400).end(), true)),
      ],
      ['is out of order', (other) => (other.hook = (_, response) => (response.writeHead(503).end(), true))],
      ['cannot be reached', (other) => void other.stop()],
    ])('is sent again when the target of a redirect %s', async (_what, end) => {
      await using other = await TestServer.start({ 'm/large.bin': large })
      store = httpStore(`${server.url}/m`, { network: hastyNetwork(pauses, base), token: 'secret' })
      server.hook = (_, response, index) => {
        if (index === 0) response.writeHead(302, { location: `${other.url}/m/large.bin` }).end()
        return index === 0
      }
      server.put('m/large.bin', large, '"m/large.bin-1"')
      const source = (await store.open('large.bin'))!
      end(other)
      expectBytes(await readExactly(source, 0, large.length), large)
      expect(pauses).toHaveLength(1)
      expect(server.requests.map(({ authorization }) => authorization)).toEqual([
        'Bearer secret',
        'Bearer secret',
      ])
    })

    test('that is refused is said to be', async () => {
      store = httpStore(`${server.url}/m`, { network: hastyNetwork([], base), token: 'secret' })
      server.hook = (_, response) => (response.writeHead(403).end(), true)
      await expect(store.open('large.bin')).rejects.toThrow(/status 403 with the token/)
    })
  })

  describe('an address', () => {
    test.each(['ftp://host/m', 'nonsense', 'http://user:pass@host/m'])('such as %s is refused', (address) => {
      expect(() => httpStore(address, { network: hastyNetwork([], base) })).toThrow(
        /\[engine\/input\] model: /,
      )
    })

    test('keeps its query and is split into folder and file', async () => {
      expect(splitFileUrl('https://host/a%20b/c.gguf?download=true')).toEqual({
        folder: 'https://host/a%20b/?download=true',
        file: 'c.gguf',
      })
      server.put('m/small.txt?key=1', 'keyed')
      const keyed = httpStore(`${server.url}/m?key=1`, { network: hastyNetwork([], base) })
      expect(await readText(keyed, 'small.txt', 100)).toBe('keyed')
      expect(keyed).toMatchObject({ folder: `${server.url}/m/`, model: `${server.url}/m` })
    })
  })
})
