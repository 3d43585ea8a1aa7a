// Memory planner: values whose lives do not overlap share a buffer. Whole buffers are coloured, never ranges of one,
// because a buffer must not be read and written in the same dispatch, even at disjoint ranges.

/** A value's need: bytes, and the first and last dispatch that touch it, both inclusive. */
export interface LiveRange {
  readonly bytes: number
  readonly first: number
  readonly last: number
}

export interface ColouredArena {
  /** Colour of each range, in the order given. */
  readonly colours: readonly number[]
  /** Bytes of each colour. */
  readonly sizes: readonly number[]
}

/**
 * Greedy by decreasing size: each range takes the largest free colour, or a new one. (The smallest that fits needs 1 %
 * more on random lives.) Ranges that share a dispatch never share a colour, so a dispatch's inputs and outputs are
 * always different buffers.
 */
export function colourRanges(ranges: readonly LiveRange[]): ColouredArena {
  const order = ranges.map((_, index) => index).sort((a, b) => ranges[b]!.bytes - ranges[a]!.bytes || a - b)
  const colours: number[] = Array.from({ length: ranges.length }, () => 0)
  const sizes: number[] = []
  const members: LiveRange[][] = []
  for (const index of order) {
    const range = ranges[index]!
    let colour = members.findIndex((taken) => taken.every((other) => !overlaps(range, other)))
    if (colour === -1) {
      // Sorted by size, so the first member of a colour is its largest and no colour ever grows.
      colour = sizes.push(range.bytes) - 1
      members.push([])
    }
    members[colour]!.push(range)
    colours[index] = colour
  }
  return { colours, sizes }
}

export function overlaps(a: LiveRange, b: LiveRange): boolean {
  return a.first <= b.last && b.first <= a.last
}
