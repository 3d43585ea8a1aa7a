// fetch over node:http, beyond what httpStore.test.ts asks of it: connections, redirects, encodings, memory that is freed,
// and that a fetch of the program's own comes first.

import http from 'node:http'
import { gzipSync } from 'node:zlib'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { steadyNetwork } from '../../../src/node/steadyFetch.ts'
import { bodyOf, piecesOf, type NetworkInit } from '../../../src/weights/remote/network.ts'
import { TestServer, expectBytes, patternOf } from '../weights/remote/testServer.ts'

const large = patternOf(3_000_000)
let server: TestServer
/** Ports of the clients, one a request. */
let ports: (number | undefined)[]

beforeEach(async () => {
  server = await TestServer.start({ large, small: 'small' })
  ports = []
  server.hook = ({ socket }) => {
    ports.push(socket.remotePort)
    return false
  }
})
afterEach(() => server.stop())

async function bytesAt(path: string, init: NetworkInit = {}): Promise<Uint8Array | undefined> {
  return bodyOf(await steadyNetwork.fetch(`${server.url}/${path}`, init), 2 ** 24, () => {})
}

describe('a body', () => {
  test('comes whole, over one connection again and again', async () => {
    for (let i = 0; i < 3; i++) expectBytes((await bytesAt('large'))!, large)
    expect(new Set(ports).size).toBe(1)
  })

  test('whose reader stops at its last byte leaves the connection for others', async () => {
    for (let i = 0; i < 3; i++) {
      const controller = new AbortController()
      const response = await steadyNetwork.fetch(`${server.url}/large`, { signal: controller.signal })
      let numBytes = 0
      for await (const piece of piecesOf(response, () => {})) {
        numBytes += piece.byteLength
        if (numBytes === large.length) break
      }
      controller.abort()
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
    expect(new Set(ports).size).toBe(1)
  })

  test('whose reader leaves is broken off', async () => {
    let isClosed = false
    server.hook = (_, response) => {
      response.on('close', () => (isClosed = true))
      response.writeHead(200, { 'content-length': 2 ** 40 })
      response.write(large)
      return true
    }
    for await (const _ of piecesOf(await steadyNetwork.fetch(`${server.url}/large`), () => {})) break
    await expect.poll(() => isClosed).toBe(true)
  })

  test('waits while nobody reads', async () => {
    let written = 0
    server.hook = (_, response) => {
      response.writeHead(200, { 'content-length': 2 ** 40 })
      const write = (): void => {
        while (written < 2 ** 28) {
          written += large.length
          if (!response.write(large)) return void response.once('drain', write)
        }
      }
      write()
      return true
    }
    const controller = new AbortController()
    const { body } = await steadyNetwork.fetch(`${server.url}/large`, { signal: controller.signal })
    await body!.getReader().read()
    await new Promise((resolve) => setTimeout(resolve, 100))
    // What sockets of both ends hold.
    expect(written).toBeLessThan(2 ** 26)
    controller.abort()
  })

  test('frees a piece when the next is asked for', async () => {
    const reader = (await steadyNetwork.fetch(`${server.url}/large`)).body!.getReader()
    const { value } = await reader.read()
    expectBytes(value!, large.subarray(0, value!.byteLength))
    await reader.read()
    expect(value!.byteLength).toBe(0)
    await reader.cancel()
  })

  test('whose pieces were freed with what the socket read is an error, not a shorter body', async () => {
    const { request } = http
    const spy = vi.spyOn(http, 'request').mockImplementation((...args: unknown[]) => {
      const sent: http.ClientRequest = Reflect.apply(request, http, args)
      return sent.once('response', (response) =>
        response.on('data', ({ buffer }: Buffer) => structuredClone(buffer, { transfer: [buffer] })),
      )
    })
    await expect(bytesAt('large')).rejects.toThrow('freed')
    spy.mockRestore()
    expectBytes((await bytesAt('large'))!, large)
  })

  test('in pieces of the server is the same', async () => {
    server.hook = async (_, response) => {
      for (let at = 0; at < 30_000; at += 1000) response.write(large.subarray(at, at + 1000))
      await new Promise((resolve) => setTimeout(resolve, 10))
      response.end(large.subarray(30_000, 500_000))
      return true
    }
    expectBytes((await bytesAt('large'))!, large.subarray(0, 500_000))
  })

  test('that is compressed unasked is unpacked', async () => {
    let encodings: unknown[] = []
    server.hook = ({ headers }, response) => {
      encodings.push(headers['accept-encoding'])
      response.writeHead(200, { 'content-encoding': 'gzip' }).end(gzipSync(large))
      return true
    }
    expectBytes((await bytesAt('large'))!, large)
    expect(encodings[0]).toBe('identity')
  })
})

describe('a redirect', () => {
  test('is followed, also by a path, and told of', async () => {
    server.hook = ({ url }, response) => {
      if (url !== '/a/b') return false
      response.writeHead(307, { location: '../small' }).end()
      return true
    }
    const response = await steadyNetwork.fetch(`${server.url}/a/b`)
    expect(response).toMatchObject({ status: 200, ok: true, redirected: true, url: `${server.url}/small` })
    await response.body?.getReader().cancel()
  })

  test('to another origin and back has lost the token', async () => {
    await using other = await TestServer.start()
    other.hook = (_, response) => (response.writeHead(302, { location: `${server.url}/small` }).end(), true)
    server.hook = ({ url }, response) => {
      if (url !== '/large') return false
      response.writeHead(302, { location: `${other.url}/x` }).end()
      return true
    }
    expect(await bytesAt('large', { headers: { Authorization: 'Bearer secret' } })).toHaveLength(5)
    const seen = [...server.requests, ...other.requests].map(({ path, authorization }) => [
      path,
      authorization,
    ])
    expect(seen).toEqual([
      ['/large', 'Bearer secret'],
      ['/small', undefined],
      ['/x', undefined],
    ])
  })

  test.each([
    ['without end', '/large', 'too many redirects'],
    ['to a file', 'file:///etc/hostname', 'a redirect to file:'],
  ])('%s is refused', async (_what, location, message) => {
    server.hook = (_, response) => (response.writeHead(302, { location }).end(), true)
    await expect(steadyNetwork.fetch(`${server.url}/large`)).rejects.toThrow(message)
  })
})

describe('a program that has replaced', () => {
  afterEach(() => vi.unstubAllGlobals())

  test('fetch is asked through it', async () => {
    const own = vi.fn(async () => new Response('own'))
    vi.stubGlobal('fetch', own)
    expect(await bytesAt('large')).toHaveLength(3)
    expect(own).toHaveBeenCalledTimes(1)
    expect(server.requests).toEqual([])
  })

  test('fetch before the library was there is asked through it, too', async () => {
    const own = vi.fn(async () => new Response('own'))
    vi.stubGlobal('fetch', own)
    vi.resetModules()
    const { steadyNetwork: other } = await import('../../../src/node/steadyFetch.ts')
    const response = await other.fetch(`${server.url}/large`)
    expect(await bodyOf(response, 2 ** 24, () => {})).toHaveLength(3)
    expect(server.requests).toEqual([])
  })

  test('what fetch connects with is asked through it where a connection fails', async () => {
    await server.stop()
    await expect(bytesAt('large')).rejects.toMatchObject({
      message: 'fetch failed',
      cause: { code: 'ECONNREFUSED' },
    })
  })

  test("fetch's dispatcher is asked through that", async () => {
    const key = Symbol.for('undici.globalDispatcher.1')
    // The platform makes its own with the first request.
    await fetch(`${server.url}/small`)
    const before: unknown = Reflect.get(globalThis, key)
    // The name of Node's own.
    class Agent {
      readonly dispatch = vi.fn(() => {
        throw new Error('asked')
      })
    }
    Reflect.set(globalThis, key, new Agent())
    try {
      await expect(bytesAt('large')).rejects.toMatchObject({ cause: { message: 'asked' } })
    } finally {
      Reflect.set(globalThis, key, before)
    }
  })
})
