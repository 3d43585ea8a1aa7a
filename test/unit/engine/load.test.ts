// Which steps an engine plans for, and what it says of prompts that no step can take.

import { expect, test } from 'vitest'
import { checkContext, stepClasses } from '../../../src/engine/load.ts'

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

test.each([
  [33, 64, 'Shorten the prompt or raise maxSeqLen.'],
  [33, 32, 'Shorten the prompt: the model takes no more.'],
  [0, 64, 'Give a prompt.'],
])('of %i tokens where 32 are allowed and %i can be', (numTokens, modelMax, fix) => {
  const message = `[engine/context] prompt: expected 1 to 32 tokens, got ${numTokens}. ${fix}`
  expect(() => checkContext(numTokens, 32, modelMax, 'prompt')).toThrow(message)
})
