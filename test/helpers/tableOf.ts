// A weight whose values a test gives, instead of a checkpoint.

import type { WeightExpr } from '../../src/graph/weightExpr.ts'

/** `values` are those of all rows. */
export function tableOf(
  name: string,
  shape: readonly number[],
  values: () => Float32Array,
): Extract<WeightExpr, { kind: 'table' }> {
  const rowElements = shape.slice(1).reduce((product, dim) => product * dim, 1)
  return {
    kind: 'table',
    name,
    shape,
    values: (firstRow, numRows) =>
      values().subarray(firstRow * rowElements, (firstRow + numRows) * rowElements),
  }
}
