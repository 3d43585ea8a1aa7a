// In which order weights are loaded: that of the checkpoint's bytes, so that a file on a network streams by once and its
// hash can be computed as it passes. Not here: loading (loadWeights.ts).

import { bytesOf } from '../core/dtype.ts'
import { leafRanges, type LeafRange } from '../graph/weightExpr.ts'
import type { PlanBuffer } from '../plan/types.ts'
import type { Checkpoint } from '../weights/checkpoint.ts'

export type WeightBuffer = Extract<PlanBuffer, { role: 'weight' }>

/** Elements of a weight from `start` on, which are loaded one after the other. */
export interface WeightPart {
  readonly weight: WeightBuffer
  readonly start: number
  /** What they are made of. */
  readonly ranges: readonly LeafRange[]
}

/** Device memory is written in whole words. */
const wordBytes = 4

/** All elements of all weights, once each, in the order of the bytes that they are made of; computed tables first. */
export function partsInFileOrder(
  weights: Iterable<WeightBuffer>,
  tensors: Checkpoint['tensors'],
): WeightPart[] {
  const places = new Map([...tensors.keys()].map((name, index) => [name, index]))
  const placed = [...weights].flatMap(partsOf).map((part) => {
    const { leaf, start } = part.ranges[0]!
    return { part, place: leaf.kind === 'table' ? -1 : places.get(leaf.name)!, start }
  })
  placed.sort((a, b) => a.place - b.place || a.start - b.start)
  return placed.map(({ part }) => part)
}

/** A weight range by range; together with the one before it where a range begins inside a word of the device's. */
function partsOf(weight: WeightBuffer): WeightPart[] {
  const parts: { weight: WeightBuffer; start: number; ranges: LeafRange[] }[] = []
  let start = 0
  for (const range of leafRanges(weight.expr)) {
    if ((start * bytesOf(weight.dtype)) % wordBytes === 0) parts.push({ weight, start, ranges: [range] })
    else parts.at(-1)!.ranges.push(range)
    start += range.count
  }
  return parts
}
