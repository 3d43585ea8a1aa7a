// The sample op's reference: that its draws follow softmax(logits / temperature), and what it does at the edges.

import { describe, expect, test } from 'vitest'
import { opDef } from '../../../src/graph/ops/index.ts'
import { gumbel } from '../../../src/graph/ops/sample.ts'
import type { RefTensor } from '../../../src/graph/opDef.ts'

interface Draw {
  readonly temperature?: number
  readonly seed?: readonly [number, number]
  readonly tokenIndex?: number
}

/** One token for each draw, all from the same logits. */
function sampleAll(logits: readonly number[], draws: readonly Draw[]): number[] {
  const tensor = (shape: number[], values: readonly number[]): RefTensor => ({
    shape,
    data: Float64Array.from(values),
  })
  const rows = draws.length
  const { next } = opDef('sample').reference(
    {},
    {
      logits: tensor([rows, logits.length], Array.from({ length: rows }, () => logits).flat()),
      temperature: tensor(
        [rows],
        draws.map(({ temperature = 1 }) => temperature),
      ),
      seed: tensor(
        [rows, 2],
        draws.flatMap(({ seed = [1, 2] }) => seed),
      ),
      tokenIndex: tensor(
        [rows],
        draws.map(({ tokenIndex = 0 }) => tokenIndex),
      ),
      targets: tensor(
        [rows],
        draws.map((_, row) => row),
      ),
      sampled: tensor(
        [rows],
        draws.map(() => -1),
      ),
    },
  )
  return [...next!.data]
}

function softmax(logits: readonly number[], temperature = 1): number[] {
  const weights = logits.map((logit) => Math.exp(logit / temperature))
  const total = weights.reduce((sum, weight) => sum + weight, 0)
  return weights.map((weight) => weight / total)
}

function chiSquare(tokens: readonly number[], probabilities: readonly number[]): number {
  const counts = probabilities.map(() => 0)
  for (const token of tokens) counts[token]!++
  return probabilities.reduce((sum, probability, id) => {
    const expected = probability * tokens.length
    return sum + (counts[id]! - expected) ** 2 / expected
  }, 0)
}

const numDraws = 20_000
// Ten ids span three blocks of random numbers, the last of them partly.
const logits = [0, 1.5, -1, 0.5, 2, -0.5, 0.25, 1, -2, 0.75]
/** Nine degrees of freedom: one fair sampler in ten thousand is above. */
const limit = 33.7

describe(`${numDraws} draws`, () => {
  const byToken = Array.from({ length: numDraws }, (_, tokenIndex): Draw => ({ tokenIndex, seed: [77, 0] }))
  const bySeed = Array.from({ length: numDraws }, (_, i): Draw => ({
    tokenIndex: 3,
    seed: [i, 0xffff_ffff - i],
  }))

  test('over token indices follow the softmax', () => {
    expect(chiSquare(sampleAll(logits, byToken), softmax(logits))).toBeLessThan(limit)
  })

  test('over seeds follow the softmax', () => {
    expect(chiSquare(sampleAll(logits, bySeed), softmax(logits))).toBeLessThan(limit)
  })

  test.each([0.5, 2])('at temperature %d follow its softmax and no other', (temperature) => {
    const tokens = sampleAll(
      logits,
      byToken.map((draw) => ({ ...draw, temperature })),
    )
    expect(chiSquare(tokens, softmax(logits, temperature))).toBeLessThan(limit)
    // The control: the test tells temperatures apart that differ by a fifth.
    expect(chiSquare(tokens, softmax(logits, temperature * 1.2))).toBeGreaterThan(limit)
  })

  test('do not repeat from one token to the next', () => {
    const tokens = sampleAll([0, 0], byToken)
    const numSame = tokens.filter((token, i) => i > 0 && token === tokens[i - 1]).length
    // Four standard deviations of a fair coin.
    expect(Math.abs(numSame - numDraws / 2)).toBeLessThan(4 * Math.sqrt(numDraws / 4))
  })
})

describe('Gumbel noise', () => {
  const noise = Array.from({ length: numDraws }, (_, i) => gumbel(i % 8, Math.floor(i / 8), [5, 6]))
  const mean = noise.reduce((sum, value) => sum + value, 0) / numDraws

  test('has the mean and the variance of its distribution', () => {
    const variance = noise.reduce((sum, value) => sum + (value - mean) ** 2, 0) / numDraws
    expect(Math.abs(mean - 0.5772156649)).toBeLessThan(0.04)
    expect(Math.abs(variance - Math.PI ** 2 / 6)).toBeLessThan(0.12)
    expect(noise.every(Number.isFinite)).toBe(true)
  })

  test('differs between ids that share a block of random numbers', () => {
    expect(new Set([0, 1, 2, 3, 4].map((id) => gumbel(id, 0, [5, 6]))).size).toBe(5)
  })
})

describe('a token', () => {
  test('depends on seed and index only, not on the other rows', () => {
    const draw = { seed: [9, 9], tokenIndex: 4 } as const
    const alone = sampleAll(logits, [draw])[0]
    expect(sampleAll(logits, [{ seed: [1, 1] }, draw, { temperature: 0 }])[1]).toBe(alone)
  })

  test('at temperature 0 is the largest logit, the lowest id on ties', () => {
    expect(sampleAll([1, 3, 2], [{ temperature: 0 }])).toEqual([1])
    expect(sampleAll([1, 3, 3], [{ temperature: 0 }])).toEqual([1])
    expect(sampleAll([-Infinity, -5, -Infinity], [{ temperature: 0 }])).toEqual([1])
  })

  test('is never one with a NaN logit while there is a number', () => {
    expect(sampleAll([NaN, -1, NaN], [{ temperature: 0 }, { temperature: 1 }])).toEqual([1, 1])
    expect(sampleAll([NaN, NaN], [{ temperature: 0 }])).toEqual([-1])
  })

  test('is never one with a logit of minus infinity', () => {
    const draws = Array.from({ length: 200 }, (_, tokenIndex): Draw => ({ tokenIndex }))
    expect(new Set(sampleAll([0, -Infinity, 0], draws))).toEqual(new Set([0, 2]))
  })
})
