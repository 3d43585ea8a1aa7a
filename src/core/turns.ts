// Work that must not overlap takes turns, in the order in which it was asked for.

import { throwIfCancelled } from './errors.ts'
import { untilCancelled } from './untilCancelled.ts'

export class Turns {
  #over: Promise<void> = Promise.resolve()

  /** Resolves when all work that has been asked for so far is over, whether it failed or not. */
  get over(): Promise<void> {
    return this.#over
  }

  /** What `work` resolves to, when its turn has come. Throws engine/cancelled as soon as the signal fires before. */
  take<T>(work: () => Promise<T>, where: string, signal: AbortSignal | undefined): Promise<T> {
    const before = this.#over
    const result = untilCancelled(before, where, signal).then(() => {
      throwIfCancelled(signal, where)
      return work()
    })
    this.#over = Promise.allSettled([before, result]).then(() => undefined)
    return result
  }
}
