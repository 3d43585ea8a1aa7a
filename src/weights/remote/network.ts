// The network as remote sources see it, all of it injected, and the one loop that tries again.
// Not here: what is asked for (httpSource.ts, hub.ts).
import { RuntimeFault, cancelled, throwIfCancelled } from '../../core/errors.ts'
import { onAbort } from '../../core/onAbort.ts'

/** What is asked of fetch. */
export type NetworkInit = {
  readonly headers?: Readonly<Record<string, string>>
  readonly signal?: AbortSignal
}

/** What is needed of its answer. */
export interface NetworkResponse extends Pick<Response, 'status' | 'ok' | 'headers' | 'url' | 'redirected'> {
  readonly body: { getReader(): PieceReader } | null
}

/** A piece is valid until the next one is asked for. */
export interface PieceReader {
  read(): Promise<{ readonly done: boolean; readonly value?: Uint8Array | undefined }>
  cancel(): Promise<void>
}

export interface Network {
  readonly fetch: (url: string, init?: NetworkInit) => Promise<NetworkResponse>
  /** Rejects when the signal fires. */
  readonly sleep: (ms: number, signal?: AbortSignal) => Promise<void>
  /** In [0, 1). */
  readonly random: () => number
  /** Milliseconds since 1970. */
  readonly now: () => number
  /** A connection that gives no byte for so long is given up. */
  readonly stallMs: number
}

/** The platform's `fetch`, clock and chance. */
export const platformNetwork: Network = {
  // Not into the browser's own cache as well: it would keep gigabytes twice, or answer for a server that has changed.
  fetch: (url, init) => globalThis.fetch(url, { cache: 'no-store', ...init }),
  sleep: (ms, signal) =>
    new Promise((resolve, reject) => {
      const unlisten = onAbort(signal, () => {
        clearTimeout(timer)
        reject(cancelled('a pause before trying again', signal?.reason))
      })
      const timer = setTimeout(() => {
        unlisten()
        resolve()
      }, ms)
    }),
  random: () => Math.random(),
  now: () => Date.now(),
  stallMs: 30_000,
}

const firstPauseMs = 300
const longestPauseMs = 10_000
/** A server that asks for a longer pause is not waited for. */
const longestRetryAfterMs = 120_000

/** A failure that another attempt may mend. */
export class Retryable extends Error {
  /** How long the server asks to wait. */
  readonly retryAfterMs: number | undefined

  constructor(message: string, retryAfterMs?: number) {
    super(message)
    this.retryAfterMs = retryAfterMs
  }
}

export interface RetryOptions {
  /** For errors: what is read and what is wanted of it. */
  readonly where: string
  readonly expected: string
  /** Attempts in a row without a byte. */
  readonly attempts: number
  readonly signal?: AbortSignal | undefined
  /** Bytes so far; when they have grown, attempts are counted anew. */
  readonly progress?: () => number
}

/** One attempt. It passes `signal` to what it calls and calls `isAlive` whenever bytes come. */
export type Attempt<T> = (signal: AbortSignal, isAlive: () => void) => Promise<T>

/**
 * Runs an attempt until it succeeds, with exponentially growing pauses between. A RuntimeFault ends it at once; any
 * other error is tried again. Throws `file/network` when the attempts are used up, `engine/cancelled`.
 */
export async function retrying<T>(
  network: Network,
  { where, expected, attempts, signal, progress = () => 0 }: RetryOptions,
  attempt: Attempt<T>,
): Promise<T> {
  let failures = 0
  let reached = progress()
  for (;;) {
    throwIfCancelled(signal, where)
    try {
      return await watched(network.stallMs, signal, attempt)
    } catch (cause) {
      throwIfCancelled(signal, where)
      if (cause instanceof RuntimeFault) throw cause
      failures = progress() > reached ? 1 : failures + 1
      reached = progress()
      const retryAfterMs = cause instanceof Retryable ? (cause.retryAfterMs ?? 0) : 0
      if (failures >= attempts || retryAfterMs > longestRetryAfterMs) {
        throw networkFault(where, expected, cause, retryAfterMs)
      }
      const pauseMs = Math.min(longestPauseMs, firstPauseMs * 2 ** (failures - 1))
      // Half of the pause is random, so that many clients do not come back at once.
      await network.sleep(Math.max(retryAfterMs, pauseMs * (0.5 + network.random() / 2)), signal)
    }
  }
}

/** Runs one attempt, which ends when the caller's signal fires or nothing comes for `stallMs`. */
async function watched<T>(stallMs: number, signal: AbortSignal | undefined, attempt: Attempt<T>): Promise<T> {
  const controller = new AbortController()
  const stall = (): void => controller.abort(new Retryable(`no bytes for ${stallMs / 1000} s`))
  let timer = setTimeout(stall, stallMs)
  const isAlive = (): void => {
    clearTimeout(timer)
    timer = setTimeout(stall, stallMs)
  }
  const unlisten = onAbort(signal, () => controller.abort(signal?.reason))
  try {
    return await attempt(controller.signal, isAlive)
  } finally {
    clearTimeout(timer)
    unlisten()
    // Whatever the attempt left open is closed.
    controller.abort()
  }
}

/** Milliseconds that a Retry-After header asks for: seconds or a date. */
export function retryAfterMsOf(headers: Headers, now: number): number | undefined {
  const text = headers.get('retry-after')
  if (text === null) return undefined
  const ms = /^\d+$/.test(text) ? Number(text) * 1000 : Date.parse(text) - now
  return Number.isFinite(ms) ? Math.max(0, ms) : undefined
}

function networkFault(where: string, expected: string, cause: unknown, retryAfterMs: number): RuntimeFault {
  const isLong = retryAfterMs > longestRetryAfterMs
  return new RuntimeFault('file/network', {
    where,
    expected,
    got: reasonOf(cause),
    fix: isLong
      ? `The server asks to wait ${Math.ceil(retryAfterMs / 1000)} s; load again then.`
      : 'Check the address and the connection, then load again; what is in the cache is kept.',
    cause,
  })
}

/** Why a fetch failed: the system's code where the platform tells it. */
function reasonOf(cause: unknown): string {
  if (!(cause instanceof Error)) return String(cause)
  const inner = cause.cause
  if (!(inner instanceof Error)) return cause.message
  return 'code' in inner && typeof inner.code === 'string' ? inner.code : inner.message
}

/** The pieces of a body as they come, each valid until the next; leaving the loop early cancels the rest. */
export async function* piecesOf(response: NetworkResponse, isAlive: () => void): AsyncGenerator<Uint8Array> {
  isAlive()
  // Not `for await`: Safari's streams are not iterable.
  const reader = response.body?.getReader()
  if (reader === undefined) return
  try {
    for (;;) {
      const { done, value } = await reader.read()
      if (done || value === undefined) return
      isAlive()
      yield value
    }
  } finally {
    await reader.cancel().catch(() => {})
  }
}

/** The whole body, or undefined, and no more than that read, when it has more than `maxBytes`. */
export async function bodyOf(
  response: NetworkResponse,
  maxBytes: number,
  isAlive: () => void,
): Promise<Uint8Array | undefined> {
  const pieces: Uint8Array[] = []
  let bytes = 0
  for await (const piece of piecesOf(response, isAlive)) {
    bytes += piece.byteLength
    if (bytes > maxBytes) return undefined
    // Not slice: that of a Buffer is a view.
    pieces.push(new Uint8Array(piece))
  }
  const whole = new Uint8Array(bytes)
  let at = 0
  for (const piece of pieces) {
    whole.set(piece, at)
    at += piece.byteLength
  }
  return whole
}
