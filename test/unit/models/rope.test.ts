// Rotary frequencies and tables against transformers' own, to the bit; test/golden/make/README.md says how they were made.

import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { inverseFrequencies, rotaryTable } from '../../../src/models/llama/rope.ts'
import { readRope, type RopeConfig } from '../../../src/models/llama/ropeConfig.ts'
import { fixturesDir } from '../../helpers/dirs.ts'

interface GoldenTable {
  readonly rope: Record<string, unknown>
  readonly dim: number
  /** Of `dynamic`: the sequence length that the frequencies are for, and max_position_embeddings. */
  readonly length?: number
  readonly max_positions?: number
  readonly scaling: number
  readonly invFreq: readonly number[]
  readonly positions: readonly number[]
  readonly cos: readonly (readonly number[])[]
  readonly sin: readonly (readonly number[])[]
}

const names = [
  'default',
  'llama3',
  'linear',
  'yarn',
  'yarnDefaults',
  'yarnUntruncated',
  'yarnAttention',
  'dynamicShort',
  'dynamic',
  'dynamicUneven',
] as const

const { halfRotation: _, ...golden } = JSON.parse(
  readFileSync(`${fixturesDir}/golden/llama/rotary.json`, 'utf8'),
) as Record<(typeof names)[number] | 'halfRotation', GoldenTable>

function ropeOf({ rope, max_positions: maxPositions = 1024 }: GoldenTable): RopeConfig {
  return readRope({ rope_parameters: rope }, maxPositions)
}

test('every table of rotary.json is here', () => {
  expect(Object.keys(golden).sort()).toEqual([...names].sort())
})

describe.each(names)('%s', (name) => {
  const { dim, length, scaling, invFreq, positions, cos, sin } = golden[name]
  const rope = ropeOf(golden[name])
  const maxSeqLen = length ?? Math.max(...positions) + 1

  test('frequencies are equal', () => {
    expect([...inverseFrequencies(rope, dim, maxSeqLen)]).toEqual(invFreq)
  })

  test('cosines and sines are equal at every position', () => {
    const table = rotaryTable(rope, dim, maxSeqLen)
    expect(table).toHaveLength(maxSeqLen * dim)
    positions.forEach((position, i) => {
      const row = [...table.subarray(position * dim, (position + 1) * dim)]
      expect(row.slice(0, dim / 2), `cosines at ${position}`).toEqual(cos[i])
      expect(row.slice(dim / 2), `sines at ${position}`).toEqual(sin[i])
    })
  })

  test('rows of the table are those of the whole', () => {
    const table = rotaryTable(rope, dim, maxSeqLen)
    for (const [first, numRows] of [
      [0, 1],
      [1, maxSeqLen - 1],
      [maxSeqLen >> 1, maxSeqLen >> 2],
    ] as const) {
      const part = rotaryTable(rope, dim, maxSeqLen, first, numRows)
      const expected = table.slice(first * dim, (first + numRows) * dim)
      // Bits, at once: element by element takes minutes.
      expect(Buffer.compare(Buffer.from(part.buffer), Buffer.from(expected.buffer))).toBe(0)
    }
  })

  test('position 0 holds the attention factor', () => {
    const row = [...rotaryTable(rope, dim, 1)]
    expect(rope.kind === 'yarn' ? rope.attentionFactor : 1).toBe(scaling)
    expect(row.slice(0, dim / 2)).toEqual(Array.from({ length: dim / 2 }, () => Math.fround(scaling)))
  })
})

test.each(names.filter((name) => ropeOf(golden[name]).kind !== 'dynamic'))(
  'a longer table of %s begins with the shorter one',
  (name) => {
    const { dim } = golden[name]
    const rope = ropeOf(golden[name])
    expect(rotaryTable(rope, dim, 9).subarray(0, 5 * dim)).toEqual(rotaryTable(rope, dim, 5))
  },
)

const plain = (theta: number, dim: number): Float32Array =>
  inverseFrequencies({ kind: 'default', theta }, dim, 1)

/** By how much each pair of `name` is stretched, against theta alone. */
function stretches(name: (typeof names)[number]): number[] {
  const { dim, rope, invFreq } = golden[name]
  const unscaled = plain(rope['rope_theta'] as number, dim)
  return invFreq.map((value, i) => unscaled[i]! / value)
}

test.each([
  ['llama3', 5],
  ['yarn', 8],
  ['yarnDefaults', 4],
  ['yarnUntruncated', 8],
] as const)('%s keeps fast pairs, stretches slow ones by its factor, and blends between', (name, factor) => {
  const ratios = stretches(name)
  const isBetween = ratios.map((ratio) => ratio > 1.001 && ratio < factor - 0.001)
  expect(ratios[0]).toBe(1)
  expect(ratios.at(-1)).toBeCloseTo(factor, 5)
  expect(isBetween.filter(Boolean).length).toBeGreaterThanOrEqual(2)
})

test('a yarn whose ramp has no width stretches every pair but the first', () => {
  const [first, ...others] = stretches('yarnAttention')
  expect(first).toBe(1)
  for (const ratio of others) expect(ratio).toBeCloseTo(8, 5)
})

test('linear stretches every pair', () => {
  for (const ratio of stretches('linear')) expect(ratio).toBe(4)
})

describe('dynamic', () => {
  const { dim } = golden.dynamic
  const rope = ropeOf(golden.dynamic)

  test('is the plain table up to the original length', () => {
    const theta = 10_000
    for (const length of [1, 63, 64])
      expect(rotaryTable(rope, dim, length)).toEqual(rotaryTable({ kind: 'default', theta }, dim, length))
  })

  test('stretches slow pairs more with every token beyond it', () => {
    const slowest = [64, 65, 66, 130, 256].map((length) => inverseFrequencies(rope, dim, length).at(-1)!)
    expect(slowest).toEqual([...slowest].sort((a, b) => b - a))
    expect(new Set(slowest).size).toBe(slowest.length)
  })
})
