// Weight expressions: shapes, slices, stacking, the text that serves as key, and the tensors that they read.

import { describe, expect, test } from 'vitest'
import {
  concat,
  exprShape,
  exprTensors,
  leafRanges,
  printExpr,
  sliceRows,
  tensor,
} from '../../../src/graph/weightExpr.ts'
import { tableOf } from '../../helpers/tableOf.ts'

const q = tensor('q', [8, 6])
const k = tensor('k', [4, 6])
const v = tensor('v', [4, 6])
const table = tableOf('angles', [3, 6], () => new Float32Array(18))

describe('concat', () => {
  test('adds rows and keeps the rest of the shape', () => {
    expect(exprShape(concat([q, k, v]))).toEqual([16, 6])
    expect(exprShape(concat([tensor('a', [3]), tensor('b', [5])]))).toEqual([8])
  })

  test('flattens nested stacks, so that grouping does not change the key', () => {
    expect(printExpr(concat([concat([q, k]), v]))).toBe('concat(q, k, v)')
    expect(concat([concat([q, k]), v])).toEqual(concat([q, concat([k, v])]))
  })

  test('of one part is the part', () => {
    expect(concat([q])).toBe(q)
  })

  test('keeps the order of its parts in the key', () => {
    expect(printExpr(concat([k, q]))).not.toBe(printExpr(concat([q, k])))
  })

  test('rejects parts with rows of another shape', () => {
    expect(() => concat([q, tensor('odd', [4, 5])])).toThrowErrorMatchingInlineSnapshot(
      `[RuntimeFault: [graph/shape] odd: expected rows of shape [6], got [5]. Only weights that read the same input can be stacked.]`,
    )
    expect(() => concat([q, tensor('flat', [6])])).toThrow('[graph/shape] flat')
  })

  test('rejects an empty list', () => {
    expect(() => concat([])).toThrow('[internal]')
  })
})

describe('sliceRows', () => {
  test('takes rows and keeps the rest of the shape', () => {
    const slice = sliceRows(q, 2, 3)
    expect(exprShape(slice)).toEqual([3, 6])
    expect(printExpr(slice)).toBe('q[2:5]')
  })

  test('of all rows is the weight itself', () => {
    expect(sliceRows(q, 0, 8)).toBe(q)
  })

  test.each([
    [-1, 2],
    [0, 0],
    [7, 2],
    [0, 9],
  ])('rejects start %i and length %i of 8 rows', (start, length) => {
    expect(() => sliceRows(q, start, length)).toThrow('[internal]')
  })

  test('reaches down to tensors, so that equal rows have equal keys', () => {
    expect(sliceRows(sliceRows(q, 2, 5), 1, 3)).toEqual(sliceRows(q, 3, 3))
    const stack = concat([q, k, v])
    expect(printExpr(sliceRows(stack, 6, 8))).toBe('concat(q[6:8], k, v[0:2])')
    expect(sliceRows(stack, 8, 4)).toBe(k)
    expect(sliceRows(stack, 9, 2)).toEqual(sliceRows(k, 1, 2))
  })

  test('accepts the last row alone', () => {
    expect(exprShape(sliceRows(q, 7, 1))).toEqual([1, 6])
  })

  test('composes with concat in both directions', () => {
    expect(exprShape(sliceRows(concat([q, k]), 6, 4))).toEqual([4, 6])
    expect(printExpr(concat([sliceRows(q, 0, 2), k]))).toBe('concat(q[0:2], k)')
  })
})

describe('tables', () => {
  test('have their own key space and read no tensor', () => {
    expect(printExpr(table)).toBe('table:angles')
    expect(printExpr(tensor('angles', [3, 6]))).not.toBe(printExpr(table))
    expect(exprShape(table)).toEqual([3, 6])
    expect(exprTensors(table)).toEqual([])
  })
})

test('the tensors of an expression are listed with their whole shapes', () => {
  expect(exprTensors(concat([sliceRows(q, 0, 2), table, k]))).toEqual([
    { name: 'q', shape: [8, 6] },
    { name: 'k', shape: [4, 6] },
  ])
})

test('an expression is ranges of tensors and tables, in order', () => {
  const ranges = leafRanges(sliceRows(concat([q, table, k]), 6, 6))
  expect(ranges).toEqual([
    { leaf: q, start: 36, count: 12 },
    { leaf: table, start: 0, count: 18 },
    { leaf: k, start: 0, count: 6 },
  ])
  // Slices of slices, which only a hand can write.
  const inner = { kind: 'slice', of: concat([q, k]), start: 7, length: 4 } as const
  expect(leafRanges({ kind: 'slice', of: inner, start: 1, length: 2 })).toEqual([
    { leaf: k, start: 0, count: 12 },
  ])
})
