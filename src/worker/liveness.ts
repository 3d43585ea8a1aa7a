// Who is still alive, by Web Locks: one side holds a lock as long as it lives, the other asks for it and gets it when
// the holder is gone, however it went.

/** The part of a LockManager that is used. */
export interface Locks {
  request(name: string, options: { signal?: AbortSignal }, callback: () => Promise<void>): Promise<unknown>
}

export interface HeldLock {
  readonly name: string
  release(): void
}

/** A new lock, once it is held. */
export function holdLock(locks: Locks): Promise<HeldLock> {
  const name = `tabhopper-${crypto.randomUUID()}`
  return new Promise((resolve, reject) => {
    const hold = (): Promise<void> =>
      new Promise((release) => {
        resolve({ name, release })
      })
    locks.request(name, {}, hold).catch(reject)
  })
}

/** Resolves when the holder of `name` is gone; never, once the signal has fired. */
export function holderGone(locks: Locks, name: string, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    locks
      .request(name, { signal }, async () => resolve())
      // Rejects only when the signal fires or the document goes away; then nobody waits any more.
      .catch(() => undefined)
  })
}
