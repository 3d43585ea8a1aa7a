// When to start waiting for a step. Dawn in Node polls for as long as a promise is pending and so keeps a core busy,
// one that a software adapter wants for the step itself. Sleeping through most of the expected time gives it back.

/** Share of the expected time that is slept through; the rest is left for being wrong. */
const sleptShare = 0.85

/** Timers count whole milliseconds; less than this is not worth one. */
const shortestSleepMs = 2

export class Pacer {
  /** Milliseconds that a step takes, by plan and number of tokens; NaN after the first, which compiled as well. */
  readonly #expected = new WeakMap<object, Map<number, number>>()
  /** When the last step was found finished, and when all that are submitted should be. */
  #lastFinished = 0
  #busyUntil = 0
  readonly #now: () => number
  readonly #sleep: (ms: number) => Promise<void>

  constructor(now: () => number = () => performance.now(), sleep: (ms: number) => Promise<void> = sleepMs) {
    this.#now = now
    this.#sleep = sleep
  }

  /** What `wait` resolves to. Sleeps first if the step, submitted just now, has run before. */
  async pace<T>(plan: object, tokens: number, wait: () => Promise<T>): Promise<T> {
    const submitted = this.#now()
    const expected = this.#of(plan)
    const known = expected.get(tokens)
    let end = this.#busyUntil
    if (known !== undefined && known > 0) {
      const begin = Math.max(submitted, this.#busyUntil)
      end = this.#busyUntil = begin + known
      const ms = Math.floor(begin + known * sleptShare - submitted)
      if (ms >= shortestSleepMs) await this.#sleep(ms)
    }
    const result = await wait()
    const now = this.#now()
    const took = now - Math.max(submitted, this.#lastFinished)
    expected.set(tokens, known === undefined ? Number.NaN : revised(known, took))
    this.#lastFinished = now
    // What is queued behind this step ends as much earlier or later as it did.
    this.#busyUntil += now - end
    return result
  }

  #of(plan: object): Map<number, number> {
    let expected = this.#expected.get(plan)
    if (expected === undefined) this.#expected.set(plan, (expected = new Map()))
    return expected
  }
}

/** Quick to believe that a step is fast, slow to believe the opposite: a machine that was busy once recovers. */
function revised(known: number, took: number): number {
  return took > known ? known + 0.1 * (took - known) : took
}

function sleepMs(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms)
  })
}
