// What a weight value *is*, in terms of checkpoint tensors. Passes rewrite these expressions; the loader evaluates
// them while streaming. Not here: storage formats and bytes.

import { RuntimeFault, invariant } from '../core/errors.ts'
import { elementsOf } from '../core/shape.ts'

export type WeightExpr =
  /** A tensor of the checkpoint, by its name there. */
  | { readonly kind: 'tensor'; readonly name: string; readonly shape: readonly number[] }
  /** Rows [start, start + length) along the first axis. */
  | { readonly kind: 'slice'; readonly of: WeightExpr; readonly start: number; readonly length: number }
  /** Parts stacked along the first axis. */
  | { readonly kind: 'concat'; readonly parts: readonly WeightExpr[] }
  /**
   * Values computed on the host, such as rotary tables, some rows [firstRow, firstRow + numRows) of the first axis at a
   * time. `name` identifies the values: equal names, equal values.
   */
  | {
      readonly kind: 'table'
      readonly name: string
      readonly shape: readonly number[]
      readonly values: (firstRow: number, numRows: number) => Float32Array
    }

export function tensor(name: string, shape: readonly number[]): WeightExpr {
  return { kind: 'tensor', name, shape }
}

/** Stacks parts along the first axis; nested concatenations are flattened. */
export function concat(parts: readonly WeightExpr[]): WeightExpr {
  const flat = parts.flatMap((part) => (part.kind === 'concat' ? part.parts : [part]))
  const first = flat[0]
  invariant(first !== undefined, 'concat needs a part')
  const tail = exprShape(first).slice(1)
  for (const part of flat) {
    const other = exprShape(part).slice(1)
    if (other.join() !== tail.join()) {
      throw new RuntimeFault('graph/shape', {
        where: printExpr(part),
        expected: `rows of shape [${tail.join(', ')}]`,
        got: `[${other.join(', ')}]`,
        fix: 'Only weights that read the same input can be stacked.',
      })
    }
  }
  return flat.length === 1 ? first : { kind: 'concat', parts: flat }
}

/** Rows [start, start + length) of a weight; slices reach down to tensors and tables, so that equal rows read alike. */
export function sliceRows(of: WeightExpr, start: number, length: number): WeightExpr {
  const rows = exprShape(of)[0]!
  invariant(
    start >= 0 && length > 0 && start + length <= rows,
    `slice [${start}, +${length}) of ${rows} rows`,
  )
  if (length === rows) return of
  switch (of.kind) {
    case 'tensor':
    case 'table':
      return { kind: 'slice', of, start, length }
    case 'slice':
      return sliceRows(of.of, of.start + start, length)
    case 'concat': {
      let begin = 0
      return concat(
        of.parts.flatMap((part) => {
          const from = Math.max(start - begin, 0)
          const partRows = exprShape(part)[0]!
          const to = Math.min(start + length - begin, partRows)
          begin += partRows
          return from < to ? [sliceRows(part, from, to - from)] : []
        }),
      )
    }
    default:
      return of satisfies never
  }
}

export function exprShape(expr: WeightExpr): readonly number[] {
  switch (expr.kind) {
    case 'tensor':
    case 'table':
      return expr.shape
    case 'slice':
      return [expr.length, ...exprShape(expr.of).slice(1)]
    case 'concat': {
      const rows = expr.parts.reduce((sum, part) => sum + exprShape(part)[0]!, 0)
      return [rows, ...exprShape(expr.parts[0]!).slice(1)]
    }
    default:
      return expr satisfies never
  }
}

/** One-line text; equal text means equal values, so it is the key by which plans share weights. */
export function printExpr(expr: WeightExpr): string {
  switch (expr.kind) {
    case 'tensor':
      return expr.name
    case 'table':
      return `table:${expr.name}`
    case 'slice':
      return `${printExpr(expr.of)}[${expr.start}:${expr.start + expr.length}]`
    case 'concat':
      return `concat(${expr.parts.map(printExpr).join(', ')})`
    default:
      return expr satisfies never
  }
}

export type WeightLeaf = Extract<WeightExpr, { kind: 'tensor' | 'table' }>

/** Elements [start, start + count) of a tensor or table, row-major. */
export interface LeafRange {
  readonly leaf: WeightLeaf
  readonly start: number
  readonly count: number
}

/** What an expression is, one after the other: ranges of tensors and tables. */
export function leafRanges(expr: WeightExpr): LeafRange[] {
  switch (expr.kind) {
    case 'tensor':
    case 'table':
      return [{ leaf: expr, start: 0, count: elementsOf(expr.shape) }]
    case 'slice': {
      const rowElements = elementsOf(exprShape(expr.of).slice(1))
      return cut(leafRanges(expr.of), expr.start * rowElements, expr.length * rowElements)
    }
    case 'concat':
      return expr.parts.flatMap(leafRanges)
    default:
      return expr satisfies never
  }
}

/** Elements [start, start + count) of all of them. */
function cut(ranges: readonly LeafRange[], start: number, count: number): LeafRange[] {
  let begin = 0
  return ranges.flatMap(({ leaf, start: first, count: length }) => {
    const from = Math.max(start - begin, 0)
    const to = Math.min(start + count - begin, length)
    begin += length
    return from < to ? [{ leaf, start: first + from, count: to - from }] : []
  })
}

/** Checkpoint tensors that an expression reads. */
export function exprTensors(expr: WeightExpr): { name: string; shape: readonly number[] }[] {
  return leafRanges(expr).flatMap(({ leaf }) =>
    leaf.kind === 'tensor' ? [{ name: leaf.name, shape: leaf.shape }] : [],
  )
}
