// Calling a listener whose errors are its own: they are shown and end nothing. Not here: who listens to what.

/** Calls the listener at once. What it throws, or rejects with, goes to where the platform shows errors of listeners. */
export async function tell<T>(listener: ((event: T) => unknown) | undefined, event: T): Promise<void> {
  try {
    await listener?.(event)
  } catch (error) {
    // Node has no such function, and what nobody catches ends the process there.
    if ('reportError' in globalThis) globalThis.reportError(error)
    else console.error(error)
  }
}
