// Waiting that a signal can end, for work that cannot be ended itself.

import { cancelled } from './errors.ts'

/** The promise's result, or engine/cancelled as soon as the signal fires; what comes of the promise then is ignored. */
export function untilCancelled<T>(
  promise: Promise<T>,
  where: string,
  signal: AbortSignal | undefined,
): Promise<T> {
  if (signal === undefined) return promise
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(cancelled(where, signal.reason))
    if (signal.aborted) onAbort()
    signal.addEventListener('abort', onAbort, { once: true })
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort))
  })
}
