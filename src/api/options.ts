// Checks of what callers give, by type and by range: what they load and what they ask is also written in JavaScript, and an
// option that is dropped without a word is worse than a fault. Not here: defaults, or what options mean.

import { RuntimeFault } from '../core/errors.ts'
import { isRecord, shown } from '../core/values.ts'

export function inputFault(where: string, expected: string, got: unknown): RuntimeFault {
  return new RuntimeFault('engine/input', {
    where,
    expected,
    got: shown(got),
    fix: `Correct ${where}.`,
  })
}

/** Without what is null, which callers send for what is left out, as OpenAI's clients do. */
export function withoutNulls<T extends object>(options: T): T {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== null)) as T
}

/** The value, if it is an integer from 1 to `limit`; throws engine/input, which calls it `what`, otherwise. */
export function checkCount(where: string, value: number, limit: number, what = 'an integer'): number {
  if (Number.isInteger(value) && value >= 1 && value <= limit) return value
  throw inputFault(where, `${what} from 1 to ${limit}`, value)
}

/** The value, if it is one of `choices`; throws engine/input otherwise. */
export function checkChoice<T extends string>(where: string, value: T, choices: readonly T[]): T {
  if (choices.includes(value)) return value
  throw inputFault(where, choices.join(' or '), value)
}

/** Throws engine/input unless each of the fields has the type, or is left out or null. */
export function checkTypes<T extends object>(
  options: T,
  type: 'boolean' | 'function' | 'string',
  fields: readonly (keyof T & string)[],
): void {
  const wrong = fields.find(
    (field) => (options[field] ?? undefined) !== undefined && typeof options[field] !== type,
  )
  if (wrong !== undefined) throw inputFault(wrong, `a ${type}`, options[wrong])
}

/** Throws engine/input for a signal that is none; null is as left out. */
export function checkSignal(signal: AbortSignal | null | undefined): void {
  const isLeftOut = signal === undefined || signal === null
  const isSignal = isRecord(signal) && typeof signal.addEventListener === 'function'
  if (!isLeftOut && !isSignal) throw inputFault('signal', 'an AbortSignal', signal)
}
