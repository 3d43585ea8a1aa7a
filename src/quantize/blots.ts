// Finds where something is in a picture: pixels by their nearest colour, and groups of them. Knows colours as numbers
// of a palette, nothing of shapes; judge.ts says what the groups are.

import type { Picture } from './drawShapes.ts'

/** Three channels in bytes' range. */
export type Rgb = readonly [number, number, number]

/** A group of touching pixels, by index. */
export interface Blot {
  readonly pixels: readonly number[]
  /** Those whose neighbours all have the same label; all of them where the blot is too thin for that. */
  readonly core: readonly number[]
}

export function distance(a: Rgb, b: Rgb): number {
  return (a[0] - b[0]) ** 2 + (a[1] - b[1]) ** 2 + (a[2] - b[2]) ** 2
}

/** Index of the candidate that is nearest to a colour. */
export function nearest(rgb: Rgb, candidates: readonly Rgb[]): number {
  let best = 0
  let least = Infinity
  for (let at = 0; at < candidates.length; at++) {
    const apart = distance(rgb, candidates[at]!)
    if (apart >= least) continue
    least = apart
    best = at
  }
  return best
}

export function meanColour(values: readonly Rgb[]): Rgb {
  const sum: [number, number, number] = [0, 0, 0]
  for (const rgb of values) for (let at = 0; at < 3; at++) sum[at]! += rgb[at]! / values.length
  return sum
}

export function pixelsOf({ width, height, data }: Picture): Rgb[] {
  return Array.from({ length: width * height }, (_, at): Rgb => [
    data[at * 4]!,
    data[at * 4 + 1]!,
    data[at * 4 + 2]!,
  ])
}

/** Calls back for each pixel within `reach` rows and columns of one, itself among them. */
function visitNear(
  pixel: number,
  { width, height }: { width: number; height: number },
  reach: number,
  visit: (near: number) => void,
): void {
  const column = pixel % width
  const row = Math.floor(pixel / width)
  for (let y = Math.max(0, row - reach); y <= Math.min(height - 1, row + reach); y++) {
    for (let x = Math.max(0, column - reach); x <= Math.min(width - 1, column + reach); x++)
      visit(y * width + x)
  }
}

/** Each pixel's mean with its neighbours. */
export function smoothed(pixels: readonly Rgb[], size: { width: number; height: number }): Rgb[] {
  return pixels.map((_, at): Rgb => {
    const sum: [number, number, number] = [0, 0, 0]
    let count = 0
    visitNear(at, size, 1, (near) => {
      const [red, green, blue] = pixels[near]!
      sum[0] += red
      sum[1] += green
      sum[2] += blue
      count++
    })
    return [sum[0] / count, sum[1] / count, sum[2] / count]
  })
}

/**
 * What is not of the ground's label, in groups of touching pixels, one for each colour that has an inside in a group.
 * `colours` are those the labels number.
 */
export function findBlots(
  pixels: readonly Rgb[],
  colours: readonly Rgb[],
  ground: number,
  size: { width: number; height: number },
): Blot[] {
  const labels = pixels.map((rgb) => nearest(rgb, colours))
  const isCore = labels.map((label, pixel) => {
    let isUniform = true
    visitNear(pixel, size, 1, (near) => {
      if (labels[near] !== label) isUniform = false
    })
    return isUniform
  })
  return groups(labels, ground, size.width).flatMap((group) => {
    const core = group.filter((pixel) => isCore[pixel]!)
    const main = core.length > 0 ? [...new Set(core.map((pixel) => labels[pixel]!))] : [labels[group[0]!]!]
    const owners = main.map((label) => colours[label]!)
    // Colours that mix along an edge go to the object that they are nearest to.
    return main.map((label, at): Blot => ({
      pixels: group.filter((pixel) => nearest(pixels[pixel]!, owners) === at),
      core: core.length > 0 ? core.filter((pixel) => labels[pixel] === label) : group,
    }))
  })
}

/** Pixels of any label but the ground's that touch along an edge. */
function groups(labels: readonly number[], ground: number, width: number): number[][] {
  const seen = new Uint8Array(labels.length)
  const found: number[][] = []
  labels.forEach((label, start) => {
    if (label === ground || seen[start] === 1) return
    const group = [start]
    seen[start] = 1
    const join = (pixel: number): void => {
      if (labels[pixel] === undefined || labels[pixel] === ground || seen[pixel] === 1) return
      seen[pixel] = 1
      group.push(pixel)
    }
    for (const pixel of group) {
      join(pixel - width)
      join(pixel + width)
      if (pixel % width > 0) join(pixel - 1)
      if (pixel % width < width - 1) join(pixel + 1)
    }
    found.push(group)
  })
  return found
}
