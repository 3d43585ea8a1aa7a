// An error as the page shows and keeps it: its code, and a message that says what to do.

import { RuntimeFault } from './engine.ts'

export interface ShownFault {
  /** As in RuntimeFault; `error` for anything else. */
  readonly code: string
  readonly message: string
}

export function shownFault(error: unknown): ShownFault {
  if (error instanceof RuntimeFault) {
    return { code: error.code, message: error.message.replace(`[${error.code}] `, '') }
  }
  return { code: 'error', message: error instanceof Error ? error.message : String(error) }
}

export function isCancelled(error: unknown): boolean {
  return error instanceof Error && error.name === 'AbortError'
}

/** Faults after which only loading the model again helps. */
export function isFatal({ code }: ShownFault): boolean {
  return ['device/lost', 'engine/disposed', 'worker/failed', 'worker/protocol'].includes(code)
}
