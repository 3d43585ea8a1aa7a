// Listening for an abort. Whoever listens to a signal shares one listener on it: one signal may end hundreds of requests,
// and Node takes more than ten listeners for a leak and warns.

const shared = new WeakMap<AbortSignal, Set<() => void>>()

/** Calls `listener` once when the signal fires, unless that was before. Returns what ends the listening. Idempotent. */
export function onAbort(signal: AbortSignal | null | undefined, listener: () => void): () => void {
  if (signal === undefined || signal === null) return () => undefined
  const listeners = shared.get(signal) ?? share(signal)
  // A function of its own: the same listener may be given twice.
  const own = (): void => listener()
  listeners.add(own)
  return () => {
    listeners.delete(own)
    if (listeners.size === 0 && shared.get(signal) === listeners) unshare(signal)
  }
}

function share(signal: AbortSignal): Set<() => void> {
  const listeners = new Set<() => void>()
  shared.set(signal, listeners)
  signal.addEventListener('abort', fire)
  return listeners
}

function unshare(signal: AbortSignal): void {
  shared.delete(signal)
  signal.removeEventListener('abort', fire)
}

function fire(this: AbortSignal): void {
  const listeners = shared.get(this) ?? []
  unshare(this)
  for (const listener of listeners) {
    try {
      listener()
    } catch (error) {
      // Others' listeners come next; as with listeners of the platform, the error is nobody's.
      queueMicrotask(() => {
        throw error
      })
    }
  }
}
