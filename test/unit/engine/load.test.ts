// Which steps an engine plans for.

import { expect, test } from 'vitest'
import { stepClasses } from '../../../src/engine/load.ts'

test.each([
  { maxNumSeqs: 1, maxNumBatchedTokens: 256, sizes: [1, 256] },
  { maxNumSeqs: 4, maxNumBatchedTokens: 256, sizes: [1, 4, 256] },
  { maxNumSeqs: 8, maxNumBatchedTokens: 8, sizes: [1, 8] },
  { maxNumSeqs: 64, maxNumBatchedTokens: 256, sizes: [1, 8, 64, 256] },
])('$maxNumSeqs sequences and $maxNumBatchedTokens tokens: steps of $sizes', ({ sizes, ...limits }) => {
  const classes = stepClasses(limits)
  expect(classes.map(({ T }) => T)).toEqual(sizes)
  for (const { T, S, R } of classes) expect([S, R]).toEqual(Array(2).fill(Math.min(T, limits.maxNumSeqs)))
})
