// Medians and their kin. Not here: what is measured.

export interface Samples {
  readonly median: number
  readonly min: number
  readonly max: number
  /** In the order in which they were taken. */
  readonly runs: readonly number[]
}

/** The middle value, or the mean of the two in the middle; NaN of nothing. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
}

export function samplesOf(runs: readonly number[]): Samples {
  return { median: median(runs), min: Math.min(...runs), max: Math.max(...runs), runs: [...runs] }
}
