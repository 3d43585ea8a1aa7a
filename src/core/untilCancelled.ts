// Waiting that a signal can end, for work that cannot be ended itself.

import { cancelled } from './errors.ts'
import { onAbort } from './onAbort.ts'

/** The promise's result, or engine/cancelled as soon as the signal fires; what comes of the promise then is ignored. */
export function untilCancelled<T>(
  promise: Promise<T>,
  where: string,
  signal: AbortSignal | undefined,
): Promise<T> {
  if (signal === undefined) return promise
  return new Promise((resolve, reject) => {
    const stop = (): void => reject(cancelled(where, signal.reason))
    if (signal.aborted) stop()
    promise.then(resolve, reject).finally(onAbort(signal, stop))
  })
}
