// Cuts a stream of text at the first of several stop strings, holding back only what could still become one.

export interface StopFilter {
  /** Adds text; returns what is certain to be part of the answer, and whether a stop string has been met. */
  push(text: string): { readonly text: string; readonly isStopped: boolean }
  /** What was held back, once no more text will come. */
  flush(): string
}

export function createStopFilter(stops: readonly string[]): StopFilter {
  let held = ''
  return {
    push(text) {
      held += text
      const found = stops
        .map((stop) => ({ start: held.indexOf(stop), end: held.indexOf(stop) + stop.length }))
        .filter(({ start }) => start !== -1)
        // The one that is complete first, so that the pieces in which text comes do not matter; then the longest.
        .sort((a, b) => a.end - b.end || a.start - b.start)[0]
      if (found !== undefined) {
        const before = held.slice(0, found.start)
        held = ''
        return { text: before, isStopped: true }
      }
      const keep = Math.max(0, ...stops.map((stop) => overlap(held, stop)))
      const certain = held.slice(0, held.length - keep)
      held = held.slice(held.length - keep)
      return { text: certain, isStopped: false }
    },
    flush() {
      const rest = held
      held = ''
      return rest
    },
  }
}

/** Length of the longest end of `text` that `stop` begins with. */
function overlap(text: string, stop: string): number {
  for (let length = Math.min(text.length, stop.length - 1); length > 0; length--) {
    if (stop.startsWith(text.slice(-length))) return length
  }
  return 0
}
