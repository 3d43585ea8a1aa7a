// A real HTTP server for tests: files with ETags and Range, every request noted, every body byte counted, and hooks
// for misbehaviour.

import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { setTimeout as wait } from 'node:timers/promises'
import type { AddressInfo } from 'node:net'
import { expect } from 'vitest'
import { platformNetwork, type Network, type PieceReader } from '../../../../src/weights/remote/network.ts'

export interface ServedFile {
  bytes: Uint8Array
  etag?: string
  type?: string
}

export interface SeenRequest {
  readonly path: string
  readonly range: string | undefined
  readonly authorization: string | undefined
}

/** Answers a request itself and returns true, or leaves it to the server. */
type Hook = (request: IncomingMessage, response: ServerResponse, index: number) => boolean | Promise<boolean>

export class TestServer {
  readonly files: Map<string, ServedFile> = new Map<string, ServedFile>()
  readonly requests: SeenRequest[] = []
  readonly #server = createServer((request, response) => void this.#answer(request, response))
  /** Body bytes that were sent. */
  bytesServed = 0
  supportsRange = true
  /** Whether pages of other origins may read what it serves. */
  isOpenToPages = false
  url = ''
  hook: Hook = () => false
  /** Bytes after which the next bodies are cut off, one number a body. */
  cuts: number[] = []

  static async start(files: Record<string, Uint8Array | string> = {}): Promise<TestServer> {
    const server = new TestServer()
    for (const [path, bytes] of Object.entries(files)) server.put(path, bytes)
    await new Promise<void>((resolve) => server.#server.listen(0, '127.0.0.1', resolve))
    server.url = `http://127.0.0.1:${(server.#server.address() as AddressInfo).port}`
    return server
  }

  put(path: string, content: Uint8Array | string, etag = `"${path}-1"`): void {
    const bytes = typeof content === 'string' ? new TextEncoder().encode(content) : content
    this.files.set(`/${path}`, { bytes, etag })
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections()
    await new Promise((resolve) => this.#server.close(resolve))
  }

  /** Serves again, at the same address, after `stop`. */
  async resume(): Promise<void> {
    await new Promise<void>((resolve) =>
      this.#server.listen(Number(new URL(this.url).port), '127.0.0.1', resolve),
    )
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop()
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = request.url ?? ''
    const { range, authorization } = request.headers
    if (this.isOpenToPages) {
      response.setHeader('access-control-allow-origin', '*')
      response.setHeader('access-control-expose-headers', 'etag, content-range')
    }
    this.requests.push({ path, range, authorization })
    if (await this.hook(request, response, this.requests.length - 1)) return
    const file = this.files.get(path)
    if (file === undefined) return void response.writeHead(404).end()
    const { bytes, etag, type } = file
    const headers = { ...(etag && { etag }), ...(type && { 'content-type': type }) }
    const match = this.supportsRange ? /^bytes=(\d+)-(\d+)$/.exec(range ?? '') : null
    if (match === null) return this.#send(response, 200, headers, bytes)
    const start = Number(match[1])
    const end = Math.min(Number(match[2]) + 1, bytes.length)
    if (start >= bytes.length) {
      return void response.writeHead(416, { 'content-range': `bytes */${bytes.length}` }).end()
    }
    const contentRange = { 'content-range': `bytes ${start}-${end - 1}/${bytes.length}` }
    await this.#send(response, 206, { ...headers, ...contentRange }, bytes.subarray(start, end))
  }

  async #send(
    response: ServerResponse,
    status: number,
    headers: Record<string, string>,
    body: Uint8Array,
  ): Promise<void> {
    const cut = body.length > (this.cuts[0] ?? Infinity) ? this.cuts.shift() : undefined
    response.writeHead(status, { ...headers, 'content-length': body.length })
    const sent = cut === undefined ? body : body.subarray(0, cut)
    this.bytesServed += sent.length
    if (cut === undefined) return void response.end(sent)
    // The bytes are read before the end comes: fetch drops what it still holds when a connection breaks.
    const target = bytesRead + sent.length
    await new Promise<void>((resolve) => response.write(sent, () => resolve()))
    const isRead = (): boolean => bytesRead >= target
    for (let i = 0; i < 1000 && !isRead(); i++) await wait(1)
    response.destroy()
  }
}

/** Body bytes that all hasty networks have handed on. */
let bytesRead = 0

/** The real network without its pauses, which are noted instead. */
export function hastyNetwork(pauses: number[] = [], base: Network = platformNetwork): Network {
  return {
    ...base,
    sleep: async (ms) => void pauses.push(ms),
    random: () => 0.5,
    async fetch(url, init) {
      const response = await base.fetch(url, init)
      const reader = response.body?.getReader()
      if (reader === undefined) return response
      const read = async (): ReturnType<PieceReader['read']> => {
        const result = await reader.read()
        bytesRead += result.value?.byteLength ?? 0
        return result
      }
      const getReader = (): PieceReader => ({ read, cancel: () => reader.cancel() })
      const { status, ok, headers, url: from, redirected } = response
      return { status, ok, headers, url: from, redirected, body: { getReader } }
    },
  }
}

/** Bytes that differ everywhere. */
export function patternOf(length: number, seed = 1): Uint8Array {
  let state = seed
  return Uint8Array.from({ length }, () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state >>> 24
  })
}

/** As toEqual, but fast for long arrays. */
export function expectBytes(actual: Uint8Array, expected: Uint8Array): void {
  expect(actual.length).toBe(expected.length)
  expect(Buffer.compare(actual, expected), 'bytes differ').toBe(0)
}
