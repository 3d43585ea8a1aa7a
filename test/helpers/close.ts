// Comparison of tensors under an op's accuracy class, with a message that shows where they part.

import { expect } from 'vitest'

/** ‖a − b‖ / ‖b‖; NaN if any element is. */
export function relativeL2(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  let difference = 0
  let norm = 0
  for (let i = 0; i < expected.length; i++) {
    difference += (actual[i]! - expected[i]!) ** 2
    norm += expected[i]! ** 2
  }
  return Math.sqrt(difference / (norm === 0 ? 1 : norm))
}

/** Fails unless lengths agree, no element is NaN and the relative L2 error is at most `limit`. */
export function expectClose(
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
  limit: number,
  what = 'tensor',
): void {
  expect(actual.length, `${what} length`).toBe(expected.length)
  const error = relativeL2(actual, expected)
  if (error <= limit) return
  let worst = 0
  for (let i = 0; i < expected.length; i++) {
    const at = Math.abs(actual[i]! - expected[i]!)
    if (Number.isNaN(at) || at > Math.abs(actual[worst]! - expected[worst]!)) worst = i
    if (Number.isNaN(at)) break
  }
  const from = Math.max(0, worst - 1)
  const rows = [from, from + 1, from + 2]
    .filter((i) => i < expected.length)
    .map((i) => `${i === worst ? '>' : ' '} [${i}] actual ${actual[i]} expected ${expected[i]}`)
  expect.fail(`${what}: relative L2 error ${error} above ${limit}\n${rows.join('\n')}`)
}
