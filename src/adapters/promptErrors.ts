// What goes wrong, under the names that the Prompt API gives it.

import type { FaultCode } from '../core/errors.ts'
import { onAbort } from '../core/onAbort.ts'

/** Whether an error is the fault of that code; also one of another copy of the library. */
function isFault(error: unknown, code: FaultCode): boolean {
  return error instanceof Error && 'code' in error && error.code === code
}

/** A DOMException with the error as its `cause`. */
export function toDomException(error: unknown, name: 'OperationError' | 'UnknownError'): DOMException {
  const message = error instanceof Error ? error.message : String(error)
  const known = isFault(error, 'engine/disposed') ? 'InvalidStateError' : name
  return Object.assign(new DOMException(message, known), { cause: error })
}

/**
 * For `requested` tokens that the context, of `quota`, cannot hold: what browsers that have a class for it call them.
 */
export function quotaExceeded(quota: number, requested: number): DOMException {
  const message = `The prompt of ${requested} tokens does not fit into the context of ${quota}.`
  const Own = (globalThis as { QuotaExceededError?: new (message: string, options: object) => DOMException })
    .QuotaExceededError
  if (Own !== undefined) return new Own(message, { quota, requested })
  return Object.assign(new DOMException(message, 'QuotaExceededError'), { quota, requested })
}

export function notSupported(what: string): DOMException {
  return new DOMException(`${what}: not supported.`, 'NotSupportedError')
}

/** The promise's outcome, or the signal's reason as soon as it fires. */
export function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return promise
  return new Promise((resolve, reject) => {
    const stop = (): void => reject(signal.reason as Error)
    if (signal.aborted) stop()
    promise.then(resolve, reject).finally(onAbort(signal, stop))
  })
}
