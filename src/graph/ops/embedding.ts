// Ops that turn token ids into rows and pick rows: selectTokens, embedding, gatherRows.

import { invariant } from '../../core/errors.ts'
import {
  expectDType,
  expectRank,
  expectShape,
  floatDTypes,
  refTensor,
  type FloatDType,
  type OpDef,
  type NoAttrs,
} from '../opDef.ts'

/**
 * Token ids of this step. `source` [T, 2] holds for each token (0, id) or (1, row): a literal, or the id sampled in
 * `row` by an earlier step, which never left the device.
 */
export const selectTokens: OpDef<NoAttrs> = {
  inputs: ['source', 'sampled'],
  outputs: ['ids'],
  accuracy: 'exact',
  infer(_attrs, { source, sampled }, where) {
    expectDType(where, 'source', source!.dtype, ['i32'])
    expectDType(where, 'sampled', sampled!.dtype, ['i32'])
    expectRank(where, 'source', source!.shape, 2)
    return { ids: { dtype: 'i32', shape: [source!.shape[0]!] } }
  },
  reference(_attrs, { source, sampled }) {
    const ids = refTensor([source!.shape[0]!])
    for (let t = 0; t < ids.data.length; t++) {
      const value = source!.data[2 * t + 1]!
      ids.data[t] = source!.data[2 * t] === 0 ? value : sampled!.data[value]!
    }
    return { ids }
  },
}

/**
 * Rows of `table` [V, H] by `ids` [T] → [T, H]. The table holds ids from `firstRow` (0 unless given) on; other ids take
 * the row of `previous` [T, H], or zeros without it, so that a table in bands is a chain of embeddings.
 */
export const embedding: OpDef<{ readonly dtype: FloatDType; readonly firstRow?: number }> = {
  inputs: ['table', 'ids', 'previous?'],
  outputs: ['y'],
  accuracy: 'rounded',
  infer({ dtype }, { table, ids, previous }, where) {
    expectDType(where, 'table', table!.dtype, floatDTypes)
    expectDType(where, 'ids', ids!.dtype, ['i32'])
    expectRank(where, 'table', table!.shape, 2)
    const shape = [ids!.shape[0]!, table!.shape[1]!]
    if (previous !== undefined) {
      expectDType(where, 'previous', previous.dtype, floatDTypes)
      expectShape(where, 'previous', previous.shape, shape)
    }
    return { y: { dtype, shape } }
  },
  reference({ firstRow = 0 }, { table, ids, previous }) {
    const rows = { data: ids!.data.map((id) => id - firstRow) }
    return { y: pickRows(table!, rows, previous) }
  },
}

/** Rows of `x` [T, H] by `rows` [R] → [R, H]: the positions whose logits are wanted. */
export const gatherRows: OpDef<NoAttrs> = {
  inputs: ['x', 'rows'],
  outputs: ['y'],
  accuracy: 'exact',
  infer(_attrs, { x, rows }, where) {
    expectDType(where, 'x', x!.dtype, floatDTypes)
    expectDType(where, 'rows', rows!.dtype, ['i32'])
    expectRank(where, 'x', x!.shape, 2)
    return { y: { dtype: x!.dtype, shape: [rows!.shape[0]!, x!.shape[1]!] } }
  },
  reference(_attrs, { x, rows }) {
    return { y: pickRows(x!, rows!) }
  },
}

function pickRows(
  table: { shape: readonly number[]; data: Float64Array },
  rows: { data: Float64Array },
  previous?: { data: Float64Array },
): ReturnType<typeof refTensor> {
  const [numRows, width] = table.shape
  invariant(numRows !== undefined && width !== undefined, 'a table has two dimensions')
  const y = refTensor([rows.data.length, width])
  if (previous !== undefined) y.data.set(previous.data)
  rows.data.forEach((row, i) => {
    if (row >= 0 && row < numRows) y.data.set(table.data.subarray(row * width, (row + 1) * width), i * width)
  })
  return y
}
