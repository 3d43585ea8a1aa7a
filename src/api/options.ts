// Checks of numbers that callers give, shared by what they load and what they ask. Not here: defaults, or what options mean.

import { RuntimeFault } from '../core/errors.ts'

/** The value, if it is an integer from 1 to `limit`; throws engine/input otherwise. */
export function checkCount(where: string, value: number, limit: number): number {
  if (Number.isInteger(value) && value >= 1 && value <= limit) return value
  throw new RuntimeFault('engine/input', {
    where,
    expected: `an integer from 1 to ${limit}`,
    got: String(value),
    fix: 'Correct the option.',
  })
}
