// In which order weights are loaded: that of the checkpoint's bytes, so that a file on a network streams by once and its
// hash can be computed as it passes. Not here: loading (loadWeights.ts).

import { bytesOf } from '../core/dtype.ts'
import { invariant } from '../core/errors.ts'
import { exprShape, type WeightExpr } from '../graph/weightExpr.ts'
import type { PlanBuffer } from '../plan/types.ts'
import type { Checkpoint } from '../weights/checkpoint.ts'

export type WeightBuffer = Extract<PlanBuffer, { role: 'weight' }>

/** Elements [start, start + count) of a weight, which are loaded one after the other. */
export interface WeightPart {
  readonly weight: WeightBuffer
  readonly start: number
  readonly count: number
}

/** Device memory is written in whole words. */
const wordBytes = 4

/** All elements of all weights, once each, in the order of the bytes that they are made of; computed tables first. */
export function partsInFileOrder(weights: Iterable<WeightBuffer>, { tensors }: Checkpoint): WeightPart[] {
  const places = new Map([...tensors.keys()].map((name, index) => [name, index]))
  const placed = [...weights].flatMap((weight) =>
    alignedPieces(weight).map((pieces) => ({
      weight,
      start: pieces[0]!.start,
      count: pieces.reduce((sum, { count }) => sum + count, 0),
      tensor: places.get(pieces[0]!.tensor ?? '') ?? -1,
      from: pieces[0]!.from,
    })),
  )
  placed.sort((a, b) => a.tensor - b.tensor || a.from - b.from)
  return placed.map(({ weight, start, count }) => ({ weight, start, count }))
}

/** Elements [start, start + count) of a weight that are those of one tensor or table from element `from` on. */
interface Piece {
  readonly start: number
  readonly count: number
  /** Undefined for a table. */
  readonly tensor: string | undefined
  readonly from: number
}

/** The pieces of a weight, together where the second begins inside a word of the device's. */
function alignedPieces({ expr, dtype }: WeightBuffer): Piece[][] {
  const groups: Piece[][] = []
  for (const piece of piecesOf(expr, 0, 0)) {
    if ((piece.start * bytesOf(dtype)) % wordBytes === 0) groups.push([piece])
    else groups.at(-1)!.push(piece)
  }
  return groups
}

function piecesOf(expr: WeightExpr, start: number, from: number): Piece[] {
  switch (expr.kind) {
    case 'tensor':
      return [{ start, count: numElements(expr), tensor: expr.name, from }]
    case 'table':
      return [{ start, count: numElements(expr), tensor: undefined, from }]
    case 'slice': {
      const { of, start: row } = expr
      invariant(of.kind === 'tensor' || of.kind === 'table', 'slices reach down to tensors and tables')
      const rowElements = numElements(of) / exprShape(of)[0]!
      return piecesOf(of, start, row * rowElements).map((piece) => ({ ...piece, count: numElements(expr) }))
    }
    case 'concat': {
      let begin = start
      return expr.parts.flatMap((part) => {
        const pieces = piecesOf(part, begin, 0)
        begin += numElements(part)
        return pieces
      })
    }
    default:
      return expr satisfies never
  }
}

export function numElements(expr: WeightExpr): number {
  return exprShape(expr).reduce((product, dim) => product * dim, 1)
}
