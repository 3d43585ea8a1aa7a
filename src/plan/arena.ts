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
  /** By colour, in order of time: none of them overlap. */
  const members: LiveRange[][] = []
  for (const index of order) {
    const range = ranges[index]!
    let colour = members.findIndex((taken) => isFree(taken, range))
    if (colour === -1) {
      // Sorted by size, so the first member of a colour is its largest and no colour ever grows.
      colour = sizes.push(range.bytes) - 1
      members.push([])
    }
    const taken = members[colour]!
    taken.splice(turnOf(taken, range), 0, range)
    colours[index] = colour
  }
  return { colours, sizes }
}

/** How many of the ranges, which are in order of time, begin before `range`. */
function turnOf(ordered: readonly LiveRange[], { first }: LiveRange): number {
  let low = 0
  let high = ordered.length
  while (low < high) {
    const middle = (low + high) >> 1
    if (ordered[middle]!.first < first) low = middle + 1
    else high = middle
  }
  return low
}

function isFree(ordered: readonly LiveRange[], range: LiveRange): boolean {
  const turn = turnOf(ordered, range)
  return ![ordered[turn - 1], ordered[turn]].some((other) => other !== undefined && overlaps(range, other))
}

export function overlaps(a: LiveRange, b: LiveRange): boolean {
  return a.first <= b.last && b.first <= a.last
}
