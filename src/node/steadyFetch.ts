// fetch for bodies of gigabytes, over node:http: memory that was read is freed at once. What the platform's fetch leaves
// behind waits for the collector, which V8 runs only when 32 MiB of it lie there. Not here: retries (weights/remote/network.ts).
import http, { type IncomingMessage } from 'node:http'
import https from 'node:https'
import type { Socket } from 'node:net'
import { MessageChannel } from 'node:worker_threads'
import {
  platformNetwork,
  type Network,
  type NetworkInit,
  type NetworkResponse,
  type PieceReader,
} from '../weights/remote/network.ts'

/** The platform's network, but for bodies. A piece of one is valid until the next is read. */
export const steadyNetwork: Network = { ...platformNetwork, fetch: steadyFetch }

const maxRedirects = 20

// Of their own: their sockets are nobody else's to read from.
const agents = { http: new http.Agent({ keepAlive: true }), https: new https.Agent({ keepAlive: true }) }

async function steadyFetch(url: string, init: NetworkInit = {}): Promise<NetworkResponse> {
  if (hasOwnFetch()) return platformNetwork.fetch(url, init)
  let { headers = {} } = init
  let at = new URL(url)
  for (let numRedirects = 0; ; numRedirects++) {
    let response: IncomingMessage
    try {
      response = await answerTo(at, headers, init.signal)
    } catch {
      // The platform's fetch may have been given certificates, or tells better what is wrong.
      return platformNetwork.fetch(url, init)
    }
    const { statusCode: status = 0 } = response
    const { location } = response.headers
    if (![301, 302, 303, 307, 308].includes(status) || location === undefined) {
      // It was not asked for, so that is rare.
      const isEncoded = (response.headers['content-encoding'] ?? 'identity') !== 'identity'
      if (!isEncoded) return responseOf(response, at.href, numRedirects > 0, init.signal)
      response.destroy()
      return platformNetwork.fetch(url, init)
    }
    response.destroy()
    if (numRedirects === maxRedirects) throw new TypeError('too many redirects')
    const next = new URL(location, at)
    if (!/^https?:$/.test(next.protocol)) throw new TypeError(`a redirect to ${next.protocol}`)
    if (next.origin !== at.origin) {
      headers = Object.fromEntries(Object.entries(headers).filter(([name]) => !/^authorization$/i.test(name)))
    }
    at = next
  }
}

const dispatcherKey = Symbol.for('undici.globalDispatcher.1')

/** What Node's fetch sends requests through. */
let nodeDispatcher: unknown

/**
 * Whether the program has replaced fetch, or what it sends requests through, such as by a proxy. Also where that cannot be
 * told: a dispatcher that was there before our first request may be Node's.
 */
function hasOwnFetch(): boolean {
  // The source of Node's own says where it comes from.
  if (!String(globalThis.fetch).includes('internal/deps/undici')) return true
  if (nodeDispatcher === undefined && Reflect.get(globalThis, dispatcherKey) === undefined) {
    // Has Node load its fetch, and set what that uses.
    void new Response()
    nodeDispatcher = Reflect.get(globalThis, dispatcherKey)
  }
  return Reflect.get(globalThis, dispatcherKey) !== nodeDispatcher
}

function answerTo(
  url: URL,
  headers: Readonly<Record<string, string>>,
  signal: AbortSignal | undefined,
): Promise<IncomingMessage> {
  const isSecure = url.protocol === 'https:'
  return new Promise((resolve, reject) => {
    if (signal?.aborted === true) return reject(signal.reason)
    const request = (isSecure ? https : http).request(url, {
      agent: isSecure ? agents.https : agents.http,
      headers: { accept: '*/*', 'accept-encoding': 'identity', 'user-agent': 'node', ...headers },
    })
    const stop = (): void => void request.destroy(new Error('the reader left'))
    signal?.addEventListener('abort', stop, { once: true })
    request.on('response', (response) => {
      signal?.removeEventListener('abort', stop)
      resolve(response)
    })
    request.on('socket', freeWhatIsRead)
    request.on('error', (error) => {
      signal?.removeEventListener('abort', stop)
      reject(error)
    })
    request.end()
  })
}

/** The parser copies bodies out of what a socket read; listeners run in turn, so this one always comes after it. */
function freeWhatIsRead(socket: Socket): void {
  socket.off('data', free)
  if (isBodyCopied) socket.on('data', free)
}

/** As Node's parser does. Should that change, pieces come without their bytes, and sockets keep theirs from then on. */
let isBodyCopied = true

function responseOf(
  response: IncomingMessage,
  url: string,
  redirected: boolean,
  signal: AbortSignal | undefined,
): NetworkResponse {
  const headers = new Headers()
  for (const [name, values] of Object.entries(response.headersDistinct)) {
    for (const value of values ?? []) headers.append(name, value)
  }
  const { statusCode: status = 0 } = response
  const reader = pieceReader(response, signal)
  return {
    status,
    ok: status >= 200 && status < 300,
    headers,
    url,
    redirected,
    body: { getReader: () => reader },
  }
}

/** Holds one piece at a time: the socket waits while nobody reads. */
function pieceReader(response: IncomingMessage, signal: AbortSignal | undefined): PieceReader {
  const pieces: Buffer[] = []
  let last: Buffer | undefined
  let missing = Number(response.headers['content-length'] ?? NaN)
  const end: { isReached: boolean; error: unknown } = { isReached: false, error: undefined }
  let wake = (): void => {}
  const finish = (error?: unknown): void => {
    if (!end.isReached) Object.assign(end, { isReached: true, error })
    signal?.removeEventListener('abort', stop)
    wake()
  }
  /** A body of which nothing is missing leaves a connection that can be used again. */
  const stop = (): void => {
    if (missing === 0) response.resume()
    else response.destroy(new Error('the reader left', { cause: signal?.reason }))
  }
  response.on('data', (piece: Buffer) => {
    missing -= piece.byteLength
    pieces.push(piece)
    response.pause()
    wake()
  })
  response.pause()
  response.on('end', () => finish())
  response.on('error', finish)
  response.on('close', () => finish(new Error('the connection closed')))
  if (signal?.aborted === true) stop()
  signal?.addEventListener('abort', stop, { once: true })
  return {
    async read() {
      if (last !== undefined) free(last)
      last = undefined
      while (pieces.length === 0 && !end.isReached) {
        const woken = new Promise<void>((resolve) => (wake = resolve))
        response.resume()
        await woken
      }
      last = pieces.shift()
      if (last?.byteLength === 0) {
        isBodyCopied = false
        response.destroy()
        throw new Error('a piece of the body was freed with what the socket read')
      }
      if (last !== undefined) return { done: false, value: last }
      if (end.error !== undefined) throw end.error
      return { done: true, value: undefined }
    },
    cancel: async () => stop(),
  }
}

/** Detaches what is sent, and drops it: nobody is at the other end. */
const { port1: drain, port2 } = new MessageChannel()
port2.close()

/** Frees the memory of a buffer that is nobody else's, without waiting for the collector. */
function free({ buffer, byteLength }: Buffer): void {
  // Part of a larger one may be shared.
  if (buffer.byteLength === byteLength) drain.postMessage(undefined, [buffer as ArrayBuffer])
}
