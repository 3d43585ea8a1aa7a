// Waiting without keeping a core busy. Dawn in Node polls in every turn of the event loop for as long as a promise is
// pending; on a software adapter that takes a core from the step itself. Naps between turns give it back.

/** Share of the time waited so far that the next nap takes at least: what a step may seem longer by. */
const napShare = 1 / 16

/** Share of the time still expected, if that is more: what one step takes the next will take, or nearly. */
const expectedShare = 1 / 2

/** Longest nap, so that timers and sockets are served in between. */
const longestNapMs = 4

/** Shorter naps cost more than they give. */
const shortestNapMs = 0.1

export class Pacer {
  readonly #now: () => number
  readonly #nap: (ms: number) => void
  readonly #turn: (next: () => void) => void
  #pending = 0
  #isTurning = false
  /** When the wait began, or the last thing waited for came. */
  #since = 0
  /** How long the last thing took to come. */
  #expectedMs = 0

  constructor(
    now: () => number = () => performance.now(),
    nap: (ms: number) => void = blockFor,
    turn: (next: () => void) => void = setImmediate,
  ) {
    this.#now = now
    this.#nap = nap
    this.#turn = turn
  }

  /** What `promise` resolves to; the thread naps in the meantime. */
  async wait<T>(promise: Promise<T>): Promise<T> {
    this.#pending++
    if (this.#pending === 1) this.#since = this.#now()
    if (!this.#isTurning) {
      this.#isTurning = true
      this.#turn(this.#rest)
    }
    try {
      return await promise
    } finally {
      this.#pending--
      const now = this.#now()
      this.#expectedMs = now - this.#since
      this.#since = now
    }
  }

  readonly #rest = (): void => {
    this.#isTurning = this.#pending > 0
    if (!this.#isTurning) return
    const waited = this.#now() - this.#since
    const wanted = Math.max(waited * napShare, (this.#expectedMs - waited) * expectedShare)
    const ms = Math.min(longestNapMs, wanted)
    if (ms >= shortestNapMs) this.#nap(ms)
    this.#turn(this.#rest)
  }
}

/** Made when it is first wanted: pages that are not isolated have no shared memory, and never nap. */
let never: Int32Array | undefined

function blockFor(ms: number): void {
  never ??= new Int32Array(new SharedArrayBuffer(4))
  Atomics.wait(never, 0, 0, ms)
}
