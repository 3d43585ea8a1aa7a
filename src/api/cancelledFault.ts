// The fault of a request that its caller ended, with what it had used by then.

import { RuntimeFault, cancelledDetail } from '../core/errors.ts'
import type { Timings, Usage } from './types.ts'

/**
 * Why a request whose `signal` was aborted rejects: an AbortError with code engine/cancelled. One that had begun tells
 * what it used; one that had not rejects with a RuntimeFault of the same name and code.
 */
export class CancelledFault extends RuntimeFault {
  /** Tokens by then; of those generated, the last may not have been given out. */
  readonly usage: Usage
  /** Undefined if no token had come. */
  readonly timings: Timings | undefined

  constructor(usage: Usage, timings: Timings | undefined, cause?: unknown) {
    super('engine/cancelled', cancelledDetail('request', cause))
    this.name = 'AbortError'
    this.usage = usage
    this.timings = timings
  }
}
