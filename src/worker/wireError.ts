// Errors as data that can be cloned, and back: a RuntimeFault arrives as one, with its chain of causes.

import { CancelledFault } from '../api/cancelledFault.ts'
import { RuntimeFault } from '../core/errors.ts'
import type { Reply, WireError } from './protocol.ts'

/** Longer chains, and cycles, are cut. */
const maxCauses = 8

export function toWireError(error: unknown, depth = 0): WireError {
  if (typeof error !== 'object' || error === null) return { kind: 'value', value: plainValue(error) }
  const { name, message, stack, cause } = error as Partial<Error>
  return {
    kind: 'error',
    name: typeof name === 'string' ? name : 'Error',
    message: typeof message === 'string' ? message : Object.prototype.toString.call(error),
    stack: typeof stack === 'string' ? stack : undefined,
    fault: error instanceof RuntimeFault ? { code: error.code, where: error.where } : undefined,
    used: error instanceof CancelledFault ? { usage: error.usage, timings: error.timings } : undefined,
    cause: cause === undefined || depth === maxCauses ? undefined : toWireError(cause, depth + 1),
  }
}

export function fromWireError(wire: WireError): unknown {
  if (wire.kind === 'value') return wire.value
  const { name, message, stack, fault, used } = wire
  const cause = wire.cause === undefined ? {} : { cause: fromWireError(wire.cause) }
  if (used !== undefined) return new CancelledFault(used.usage, used.timings, cause.cause)
  const error =
    fault === undefined
      ? new Error(message, cause)
      : new RuntimeFault(fault.code, { where: fault.where, expected: '', got: '', fix: '', ...cause })
  error.name = name
  error.message = message
  if (stack !== undefined) error.stack = stack
  return error
}

/** The outcome of a call as a value. */
export async function replyOf<T>(call: () => T | Promise<T>): Promise<Reply<T>> {
  try {
    return { ok: true, value: await call() }
  } catch (error) {
    return { ok: false, error: toWireError(error) }
  }
}

export function unwrapReply<T>(reply: Reply<T>): T {
  if (reply.ok) return reply.value
  throw fromWireError(reply.error)
}

function plainValue(value: unknown): string | number | boolean | null | undefined {
  switch (typeof value) {
    case 'string':
    case 'number':
    case 'boolean':
    case 'undefined':
      return value
    default:
      return value === null ? null : typeof value
  }
}
