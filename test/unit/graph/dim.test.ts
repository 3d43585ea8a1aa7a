// Dimensions: folding on construction, evaluation, printing, equality. Their use in shape rules is tested with the ops.

import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  affine,
  ceilDiv,
  dimSymbols,
  evalDim,
  numElements,
  printDim,
  printShape,
  sameShape,
  symbol,
  type Dim,
  type DimEnv,
} from '../../../src/graph/dim.ts'

const T = symbol('T')
const S = symbol('S')

describe('folding', () => {
  test('numbers are computed at once', () => {
    expect(affine(5, 3, 2)).toBe(17)
    expect(ceilDiv(9, 4)).toBe(3)
    expect(ceilDiv(8, 4)).toBe(2)
  })

  test('identities give the operand itself', () => {
    expect(affine(T, 1)).toBe(T)
    expect(ceilDiv(T, 1)).toBe(T)
    expect(affine(T, 1, 1)).not.toBe(T)
    expect(ceilDiv(T, 2)).not.toBe(T)
  })

  test('an affine of an affine is one affine', () => {
    expect(affine(affine(T, 2, 3), 4, 5)).toEqual({ kind: 'affine', of: T, scale: 8, offset: 17 })
  })

  test('an affine of a ceilDiv stays, since it cannot be folded', () => {
    expect(printDim(affine(ceilDiv(T, 4), 2, 1))).toBe('ceil(T/4)*2+1')
  })
})

describe('printing', () => {
  test.each<[dim: Dim, text: string]>([
    [7, '7'],
    [T, 'T'],
    [affine(S, 1, 1), 'S+1'],
    [affine(T, 3), 'T*3'],
    [affine(T, 3, 2), 'T*3+2'],
    [ceilDiv(T, 16), 'ceil(T/16)'],
    [ceilDiv(affine(T, 2, 1), 16), 'ceil(T*2+1/16)'],
  ])('of %o is %s', (dim, text) => {
    expect(printDim(dim)).toBe(text)
  })

  test('a shape is a list in brackets', () => {
    expect(printShape([T, 4])).toBe('[T, 4]')
    expect(printShape([])).toBe('[]')
  })
})

describe('equality of shapes', () => {
  test('is of meaning after folding, not of objects', () => {
    expect(sameShape([affine(affine(T, 2), 3), 4], [affine(symbol('T'), 6), 4])).toBe(true)
  })

  test('tells symbols, numbers and ranks apart', () => {
    expect(sameShape([T, 4], [T, 4])).toBe(true)
    expect(sameShape([T, 4], [S, 4])).toBe(false)
    expect(sameShape([T, 4], [T, 5])).toBe(false)
    expect(sameShape([T, 4], [T])).toBe(false)
    expect(sameShape([T], [T, 4])).toBe(false)
  })
})

test('the number of elements multiplies evaluated dimensions; a scalar has one', () => {
  const env = { T: 3, S: 2, R: 1 }
  expect(numElements([T, affine(S, 1, 1), 5], env)).toBe(45)
  expect(numElements([], env)).toBe(1)
})

/** An expression together with the arithmetic that it stands for. */
interface Meaning {
  readonly dim: Dim
  readonly value: (env: DimEnv) => number
}

const leaf: fc.Arbitrary<Meaning> = fc.oneof(
  fc.integer({ min: 0, max: 100 }).map((n): Meaning => ({ dim: n, value: () => n })),
  fc.constantFrom(...dimSymbols).map((name): Meaning => ({ dim: symbol(name), value: (env) => env[name] })),
)

const meanings = fc.letrec<{ meaning: Meaning }>((tie) => ({
  meaning: fc.oneof(
    { depthSize: 'small' },
    leaf,
    fc
      .record({ of: tie('meaning'), scale: fc.integer({ min: 1, max: 9 }), offset: fc.nat(9) })
      .map(({ of, scale, offset }): Meaning => ({
        dim: affine(of.dim, scale, offset),
        value: (env) => of.value(env) * scale + offset,
      })),
    fc
      .record({ of: tie('meaning'), divisor: fc.integer({ min: 1, max: 9 }) })
      .map(({ of, divisor }): Meaning => ({
        dim: ceilDiv(of.dim, divisor),
        value: (env) => Math.floor((of.value(env) + divisor - 1) / divisor),
      })),
  ),
})).meaning

const envs = fc.record({ T: fc.nat(1000), S: fc.nat(1000), R: fc.nat(1000) })

test('evaluation equals plain arithmetic, whatever was folded', () => {
  fc.assert(
    fc.property(meanings, envs, ({ dim, value }, env) => {
      expect(evalDim(dim, env)).toBe(value(env))
    }),
    { numRuns: 500 },
  )
})

test('equal prints mean equal values', () => {
  fc.assert(
    fc.property(meanings, meanings, envs, (a, b, env) => {
      fc.pre(printDim(a.dim) === printDim(b.dim))
      expect(evalDim(a.dim, env)).toBe(evalDim(b.dim, env))
    }),
    { numRuns: 100, maxSkipsPerRun: 1000 },
  )
})
