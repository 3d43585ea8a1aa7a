// Token ids → text, piece by piece, at a cost per token that does not grow with the text.
// Works with any decoder because it only compares whole decodings of a short window of ids.
// Not here: what an id means (tokenizer.ts).

export interface StreamDecoder {
  /** Adds an id and returns the text that no later id can change; often '', never half a character. */
  push(id: number): string
  /** The rest, an incomplete character as U+FFFD. The decoder then starts anew. */
  flush(): string
}

/** Windows without an end (see `shorten`) are cut at multiples of this many ids. */
const maxPending = 16

/**
 * A stream over `decode`, which turns ids into text.
 * Relies on this: a decoding that does not end in U+FFFD ends between two characters, and a text that has something
 * on its left is decoded alike whatever that is (a leading space, for one, is dropped only at the very start).
 */
export function createStreamDecoder(decode: (ids: readonly number[]) => string): StreamDecoder {
  // `context` was returned in full and starts between two characters; it is the left neighbour of `pending`.
  let context: number[] = []
  let pending: number[] = []
  /** How much of decode(context + pending) was returned. */
  let numReturned = 0

  /** Makes `pending` the new context, unless it has no text and so cannot play the left neighbour. */
  function settle(): void {
    const text = decode(pending)
    if (text === '') return
    context = pending
    pending = []
    numReturned = text.length
  }

  /**
   * Bytes that are not UTF-8, and U+FFFD itself, can keep the end uncertain for ever. Drops the window's start at a
   * place where both sides decode alone to what they decode to together. Four ids must remain on the right: a
   * character has at most four bytes, so one that the cut went through has shown itself by then.
   */
  function shorten(text: string): void {
    const window = [...context, ...pending]
    for (let at = window.length - 4; at > window.length - 9; at--) {
      const left = decode(window.slice(0, at))
      if (left + decode(window.slice(at)) === text) {
        context = []
        pending = window.slice(at)
        numReturned -= left.length
        return
      }
    }
  }

  return {
    push(id) {
      pending.push(id)
      const text = decode([...context, ...pending])
      // An incomplete character decodes to one U+FFFD at the end; what precedes it is complete.
      const isWhole = !text.endsWith('\ufffd')
      const certain = isWhole ? text.length : text.length - 1
      const piece = text.slice(numReturned, certain)
      numReturned += piece.length
      if (isWhole) settle()
      else if (pending.length % maxPending === 0) shorten(text)
      return piece
    },
    flush() {
      const rest = decode([...context, ...pending]).slice(numReturned)
      context = []
      pending = []
      numReturned = 0
      return rest
    },
  }
}
