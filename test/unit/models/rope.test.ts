// Rotary frequencies and tables against transformers' own, to the bit; test/golden/make/README.md says how they were made.

import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { inverseFrequencies, readRope, rotaryTable } from '../../../src/models/llama/rope.ts'
import { fixturesDir } from '../../helpers/dirs.ts'

interface GoldenTable {
  readonly rope: Record<string, unknown>
  readonly dim: number
  readonly invFreq: readonly number[]
  readonly positions: readonly number[]
  readonly cos: readonly (readonly number[])[]
  readonly sin: readonly (readonly number[])[]
}

const golden = JSON.parse(readFileSync(`${fixturesDir}/golden/llama/rotary.json`, 'utf8')) as Record<
  'default' | 'llama3',
  GoldenTable
>

describe.each(['default', 'llama3'] as const)('%s', (name) => {
  const { rope: json, dim, invFreq, positions, cos, sin } = golden[name]
  const rope = readRope({ rope_parameters: json })

  test('frequencies are equal', () => {
    expect([...inverseFrequencies(rope, dim)]).toEqual(invFreq)
  })

  test('cosines and sines are equal at every position', () => {
    const table = rotaryTable(rope, dim, Math.max(...positions) + 1)
    expect(positions.length).toBeGreaterThanOrEqual(5)
    positions.forEach((position, i) => {
      const row = [...table.subarray(position * dim, (position + 1) * dim)]
      expect(row.slice(0, dim / 2), `cosines at ${position}`).toEqual(cos[i])
      expect(row.slice(dim / 2), `sines at ${position}`).toEqual(sin[i])
    })
  })

  test('a longer table begins with the shorter one', () => {
    expect(rotaryTable(rope, dim, 9).subarray(0, 5 * dim)).toEqual(rotaryTable(rope, dim, 5))
  })
})

test('llama3 keeps short wavelengths, stretches long ones by its factor, and blends between', () => {
  const theta = 500
  const plain = inverseFrequencies({ kind: 'default', theta }, 16)
  const scaled = inverseFrequencies(readRope({ rope_parameters: golden.llama3.rope }), 16)
  const ratios = [...scaled].map((value, i) => plain[i]! / value)
  const isBetween = ratios.map((ratio) => ratio > 1.001 && ratio < 4.999)
  expect(ratios[0]).toBe(1)
  expect(ratios.at(-1)).toBeCloseTo(5, 5)
  expect(isBetween.some(Boolean)).toBe(true)
})
