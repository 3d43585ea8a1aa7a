// One file on an HTTP server as a ByteSource: ranges are streamed, resumed where they break off, and refused when the
// file has changed. Not here: folders (httpStore.ts), keeping what was read (chunkCache.ts).
//
// Every answer's ETag is compared instead of sending If-Range: to a browser that header costs a preflight, which the
// servers behind a redirect often refuse.
import { RuntimeFault } from '../../core/errors.ts'
import {
  Retryable,
  bodyOf,
  piecesOf,
  retryAfterMsOf,
  retrying,
  type Network,
  type NetworkResponse,
} from './network.ts'
import type { RemoteSource } from './remoteStore.ts'

/** Bytes of the first request of a file: small files need no other one, and most headers of weights fit. */
const headBytes = 2 ** 16
/** Largest file that is taken whole from a server that ignores Range. */
const maxWholeBytes = 64 * 2 ** 20

const readAttempts = 8
const openAttempts = 4

export interface HttpFileOptions {
  readonly network: Network
  /** Sent to the origin of the URL, and nowhere else. */
  readonly token?: string | undefined
  /** Ends every request. */
  readonly signal?: AbortSignal | undefined
  /** What to do about status 401 and 403. */
  readonly accessFix?: string | undefined
  /** As in `RemoteOpenOptions`. */
  readonly hasCopy?: boolean | undefined
}

/** What is known of a file before it is asked for. */
export interface KnownFile {
  readonly size: number
  readonly version: string
  readonly sha256: string | undefined
}

/** A file whose size is known; nothing is requested before the first read. */
export function knownHttpFile(
  url: string,
  name: string,
  known: KnownFile,
  options: HttpFileOptions,
): RemoteSource {
  return new HttpSource(new Requests(url, options), name, {
    ...known,
    head: new Uint8Array(0),
    tag: undefined,
  })
}

/**
 * Asks for the first bytes of a file, which tells its size. Undefined where there is none (404, 410, or a web page in
 * place of the file). Throws `file/access`, `file/network`, and `file/io` for servers that cannot give parts of a
 * file that is large.
 */
export async function openHttpFile(
  url: string,
  name: string,
  options: HttpFileOptions,
): Promise<RemoteSource | undefined> {
  const requests = new Requests(url, options)
  const hasCopy = options.hasCopy === true
  const opened = await retrying(
    options.network,
    {
      where: requests.where,
      expected: 'the file',
      attempts: hasCopy ? 1 : openAttempts,
      signal: options.signal,
    },
    async (signal, isAlive) => {
      const wanted = hasCopy ? 1 : headBytes
      return opening(requests, await requests.get(0, wanted, signal), wanted, isAlive)
    },
  )
  return opened === undefined ? undefined : new HttpSource(requests, name, opened)
}

interface OpenedFile {
  readonly size: number
  readonly version: string | undefined
  readonly sha256: string | undefined
  /** The first bytes of the file. */
  readonly head: Uint8Array
  /** What later answers must say, too. */
  readonly tag: string | undefined
}

async function opening(
  requests: Requests,
  response: NetworkResponse,
  wantedBytes: number,
  isAlive: () => void,
): Promise<OpenedFile | undefined> {
  const { status, headers } = response
  if (status === 404 || status === 410 || isPage(requests.url, headers)) return undefined
  const tag = validatorOf(headers)
  const file = { version: tag, tag, sha256: undefined }
  const range = contentRange(headers)
  // What servers say of an empty file, of which there is no first byte.
  if (status === 416 && range?.size === 0) return { ...file, size: 0, head: new Uint8Array(0) }
  if (status === 206) {
    if (range?.start !== 0 || headers.has('content-encoding')) {
      throw serverFault(requests.where, 'Content-Range with the size', shownRange(headers))
    }
    const head = await bodyOf(response, wantedBytes, isAlive)
    if (head?.byteLength !== Math.min(wantedBytes, range.size)) {
      throw new Retryable(`${head?.byteLength ?? 'too many'} bytes at the start`)
    }
    return { ...file, size: range.size, head }
  }
  if (status !== 200) throw serverFault(requests.where, 'status 206', `status ${status}`)
  const length = headers.has('content-encoding') ? undefined : lengthOf(headers)
  if (length !== undefined && length > maxWholeBytes) throw noRangeFault(requests.where, `${length} bytes`)
  // The attempt's end cancels the body.
  if (length !== undefined && wantedBytes === 1) return { ...file, size: length, head: new Uint8Array(0) }
  const head = await bodyOf(response, maxWholeBytes, isAlive)
  if (head === undefined) throw noRangeFault(requests.where, `more than ${maxWholeBytes} bytes`)
  if (length !== undefined && head.byteLength !== length) {
    throw new Retryable(`${head.byteLength} of ${length} bytes`)
  }
  return { ...file, size: head.byteLength, head }
}

class HttpSource implements RemoteSource {
  readonly name: string
  readonly size: number
  readonly version: string | undefined
  readonly sha256: string | undefined
  readonly #requests: Requests
  #head: Uint8Array
  #tag: string | undefined
  #isClosed = false

  constructor(requests: Requests, name: string, { size, version, sha256, head, tag }: OpenedFile) {
    this.#requests = requests
    this.name = name
    this.size = size
    this.version = version
    this.sha256 = sha256
    this.#head = head
    this.#tag = tag
  }

  async read(
    offset: number,
    length: number,
    signal?: AbortSignal,
    into?: Uint8Array,
    onFilled?: (bytes: number) => void,
  ): Promise<Uint8Array> {
    if (this.#isClosed) throw serverFault(this.name, 'an open file', 'a closed one')
    if (length === 0 || offset + length <= this.#head.byteLength)
      return this.#head.subarray(offset, offset + length)
    const hasRoom = into !== undefined && into.byteLength >= length
    const bytes = hasRoom ? into.subarray(0, length) : new Uint8Array(length)
    bytes.set(this.#head.subarray(offset))
    let filled = Math.max(0, this.#head.byteLength - offset)
    const { where, options } = this.#requests
    await retrying(
      options.network,
      {
        where,
        expected: `bytes ${offset} to ${offset + length} of ${this.size}`,
        attempts: readAttempts,
        signal: signal ?? options.signal,
        progress: () => filled,
      },
      async (attemptSignal, isAlive) => {
        const start = offset + filled
        const response = await this.#requests.get(start, length - filled, attemptSignal)
        this.#check(response, start)
        // What a server that ignores Range sends before the part.
        let skipped = response.status === 200 ? start : 0
        for await (const piece of piecesOf(response, isAlive)) {
          const wanted = piece.subarray(skipped, skipped + length - filled)
          skipped = Math.max(0, skipped - piece.byteLength)
          bytes.set(wanted, filled)
          filled += wanted.byteLength
          onFilled?.(filled)
          if (filled === length) return
        }
        throw new Retryable(`an end after ${filled} of ${length} bytes`)
      },
    )
    return bytes
  }

  async close(): Promise<void> {
    this.#isClosed = true
    this.#head = new Uint8Array(0)
  }

  /** Throws unless the answer is the part from `start` of the very file that was opened. */
  #check({ status, headers }: NetworkResponse, start: number): void {
    const { where } = this.#requests
    const tag = validatorOf(headers)
    const range = contentRange(headers)
    // 416: the file is now shorter than the part that was asked for.
    const isOther = tag !== undefined && this.#tag !== undefined && tag !== this.#tag
    if (isOther || status === 416 || (range !== undefined && range.size !== this.size)) {
      throw new RuntimeFault('file/changed', {
        where,
        expected: `the file of ${this.size} bytes that was opened (${this.#tag ?? 'no ETag'})`,
        got: `another one (${shownRange(headers)}, ${tag ?? 'no ETag'})`,
        fix: 'Load again from the start.',
      })
    }
    if (status === 200 && lengthOf(headers) === this.size) {
      if (this.size > maxWholeBytes) throw noRangeFault(where, `${this.size} bytes`)
      return
    }
    if (status !== 206) throw serverFault(where, 'a part of the file, status 206', `status ${status}`)
    const encoding = headers.get('content-encoding') ?? 'identity'
    if (encoding !== 'identity') throw serverFault(where, 'the bytes of the file as they are', encoding)
    // Servers that do not expose the header to a page are trusted.
    if (range !== undefined && range.start !== start) {
      throw serverFault(where, `bytes from ${start}`, shownRange(headers))
    }
    this.#tag ??= tag
  }
}

/** Requests for parts of one file. After a redirect, later ones go straight to where it led. */
class Requests {
  readonly url: string
  readonly options: HttpFileOptions
  /** The URL for errors: without a query, which may hold a signature. */
  readonly where: string
  #target: string

  constructor(url: string, options: HttpFileOptions) {
    this.url = url
    this.options = options
    this.#target = url
    const { origin, pathname } = new URL(url)
    this.where = `${origin}${pathname}`
  }

  /** Throws for every status that says nothing about the file. */
  async get(start: number, length: number, signal: AbortSignal): Promise<NetworkResponse> {
    const target = this.#target
    const isRedirected = target !== this.url
    // Where a redirect led is good for a while only: the first address leads to a fresh one.
    this.#target = this.url
    const response = await this.#fetch(target, start, length, signal)
    const isAnswer = response.ok || response.status === 416
    if (isRedirected && !isAnswer && !isPassing(response.status)) {
      throw new Retryable(`status ${response.status} after a redirect`)
    }
    const { where, options } = this
    if (response.status === 401 || response.status === 403) throw accessFault(where, response.status, options)
    if (isPassing(response.status)) {
      throw new Retryable(
        `status ${response.status}`,
        retryAfterMsOf(response.headers, options.network.now()),
      )
    }
    if (response.status === 206) this.#target = response.redirected ? response.url : target
    return response
  }

  #fetch(target: string, start: number, length: number, signal: AbortSignal): Promise<NetworkResponse> {
    const headers: Record<string, string> = { range: `bytes=${start}-${start + length - 1}` }
    const { token, network } = this.options
    // When the server redirects to another origin, fetch drops the header by itself.
    const isOwn = new URL(target).origin === new URL(this.url).origin
    if (token !== undefined && isOwn) headers['authorization'] = `Bearer ${token}`
    return network.fetch(target, { headers, signal })
  }
}

/** Whether a status says that the same request may succeed later. */
export function isPassing(status: number): boolean {
  return [408, 425, 429].includes(status) || status >= 500
}

/** What stays the same as long as the file does. A weak ETag counts like a strong one: sizes are compared, too. */
function validatorOf(headers: Headers): string | undefined {
  return headers.get('etag')?.replace(/^W\//, '') ?? headers.get('last-modified') ?? undefined
}

/** Of `bytes 0-9/100`; an answer without a part has a star for `0-9`. Undefined without a size. */
function contentRange(headers: Headers): { start: number | undefined; size: number } | undefined {
  const match = /^bytes (?:(\d+)-\d+|\*)\/(\d+)$/.exec(headers.get('content-range') ?? '')
  if (match === null) return undefined
  const size = Number(match[2])
  if (!Number.isSafeInteger(size)) return undefined
  return { start: match[1] === undefined ? undefined : Number(match[1]), size }
}

function shownRange(headers: Headers): string {
  return headers.get('content-range')?.slice(0, 80) ?? 'no Content-Range'
}

function lengthOf(headers: Headers): number | undefined {
  const text = headers.get('content-length')
  return text !== null && /^\d+$/.test(text) ? Number(text) : undefined
}

/** Whether a page came where a file was asked for: what servers of single-page applications say for "not found". */
function isPage(url: string, headers: Headers): boolean {
  return /^text\/html\b/.test(headers.get('content-type') ?? '') && !/\.html?$/.test(new URL(url).pathname)
}

/** A `file/access` fault for status 401 or 403. */
export function accessFault(where: string, status: number, options: HttpFileOptions): RuntimeFault {
  const byDefault =
    options.token === undefined
      ? 'Give a token (option `token`, flag --token) that may read it.'
      : 'Give a token that may read it.'
  return new RuntimeFault('file/access', {
    where,
    expected: 'leave to read it',
    got: `status ${status}${options.token === undefined ? ' without a token' : ' with the token'}`,
    fix: options.accessFix ?? byDefault,
  })
}

function noRangeFault(where: string, got: string): RuntimeFault {
  const expected = `a server that answers Range requests, or a file of at most ${maxWholeBytes / 2 ** 20} MiB`
  return new RuntimeFault('file/io', {
    where,
    expected,
    got: `the whole file with status 200 and ${got}`,
    fix: 'Use a server that supports Range, or download the folder and name its directory.',
  })
}

function serverFault(where: string, expected: string, got: string): RuntimeFault {
  return new RuntimeFault('file/io', {
    where,
    expected,
    got,
    fix: 'Check the address; the server may not be made for files of this size.',
  })
}
