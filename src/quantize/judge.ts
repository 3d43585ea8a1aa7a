// Reads a picture of drawn shapes and says what it shows. Bears the noise, blur and slight shifts of colour that a
// decoder leaves. No network, nothing learned: colours by distance, shapes by laying each outline over what is there.
// Where something is, blots.ts finds; what a caption asks for is compared in score.ts.

import { distance, findBlots, meanColour, nearest, pixelsOf, smoothed, type Blot, type Rgb } from './blots.ts'
import { coverageOf, type Coverage, type Picture } from './drawShapes.ts'
import {
  backgrounds,
  colours,
  shapes,
  spec,
  type Background,
  type Relation,
  type Shape,
  type Thing,
} from './shapes.ts'

/** An object that was found; `fit` is 1 for a perfect outline and 0 for none. */
export interface FoundThing extends Thing {
  readonly fit: number
}

export interface Judgement {
  readonly background: Background
  /** Largest first. */
  readonly things: readonly FoundThing[]
  /** Blots of a fair size that are none of the shapes in none of the colours. */
  readonly numUnknown: number
}

interface Found {
  readonly size: { readonly width: number; readonly height: number }
  readonly pixels: readonly Rgb[]
  /** The background's colour as it is in the picture. */
  readonly ground: Rgb
}

/** A blot whose overlap with every outline is less is of none of the shapes. */
const leastFit = 0.6
/** Half extents below are small ones: midway between the largest small and the smallest large one. */
const sizeBoundary = (spec.sizes.small[1]! + spec.sizes.large[0]!) / 2
/** Blots below this share of the picture are noise: half of the smallest triangle. */
const leastShare = spec.sizes.small[0]! ** 2

const palette = [...Object.values(spec.backgrounds), ...Object.values(spec.colours)] as unknown as Rgb[]

/** Area of each outline at extent 1, and how far below its middle its centre of mass lies. */
const measures = Object.fromEntries(
  shapes.map((shape) => {
    const side = 256
    const { top, width, shares } = coverageOf(shape, { x: 0.5, y: 0.5, extent: 0.5 }, side)
    const total = shares.reduce((sum, share) => sum + share, 0)
    const moment = shares.reduce((sum, share, at) => sum + share * (top + Math.floor(at / width) + 0.5), 0)
    return [shape, { area: (4 * total) / side ** 2, lower: (2 * moment) / (total * side) - 1 }]
  }),
) as Record<Shape, { area: number; lower: number }>

/** What the picture shows. Expects a square of 32 pixels a side at least. */
export function judgePicture(picture: Picture): Judgement {
  const size = { width: picture.width, height: picture.height }
  const pixels = pixelsOf(picture)
  const smooth = smoothed(pixels, size)
  const { label, rgb } = findGround(smooth)
  const colours = palette.map((colour, at) => (at === label ? rgb : colour))
  const least = leastShare * size.width * size.height
  const blots = findBlots(smooth, colours, label, size).filter((blot) => blot.pixels.length >= least)
  const fits = blots.map((blot) => fitThing(blot, { size, pixels, ground: rgb }))
  const things = fits.filter((thing) => thing !== undefined && thing.fit >= leastFit) as FoundThing[]
  return {
    background: backgrounds[label]!,
    things: things.toSorted((a, b) => b.extent - a.extent),
    numUnknown: blots.length - things.length,
  }
}

/** The palette's background that most pixels are nearest to. */
function findGround(pixels: readonly Rgb[]): { label: number; rgb: Rgb } {
  const near: Rgb[][] = backgrounds.map(() => [])
  for (const rgb of pixels) near[nearest(rgb, palette)]?.push(rgb)
  const label = near.reduce((best, some, at) => (some.length > near[best]!.length ? at : best), 0)
  return { label, rgb: near[label]!.length > 0 ? meanColour(near[label]!) : palette[label]! }
}

/** The object that covers a blot best; undefined if its colour is none of an object's. */
function fitThing({ pixels: blot, core }: Blot, found: Found): FoundThing | undefined {
  const { width } = found.size
  const rgb = meanColour(core.map((pixel) => found.pixels[pixel]!))
  const colour = colours[nearest(rgb, palette) - backgrounds.length]
  if (colour === undefined) return undefined
  const shares = sharesOf(blot, rgb, found)
  const total = [...shares.values()].reduce((sum, share) => sum + share, 0)
  let x = 0
  let y = 0
  for (const [pixel, share] of shares) {
    x += (share * ((pixel % width) + 0.5)) / (total * width)
    y += (share * (Math.floor(pixel / width) + 0.5)) / (total * width)
  }
  const fits = shapes.map((shape) => {
    const { area, lower } = measures[shape]
    const extent = Math.sqrt(total / area) / width
    const place = { x, y: y - lower * extent, extent }
    return { shape, ...place, fit: overlap(coverageOf(shape, place, width), shares, width) }
  })
  const best = fits.reduce((best, fit) => (fit.fit > best.fit ? fit : best))
  return { ...best, colour, size: best.extent < sizeBoundary ? 'small' : 'large' }
}

/** How much of each pixel of a blot is of the object's colour rather than the background's. */
function sharesOf(blot: readonly number[], rgb: Rgb, { pixels, ground }: Found): Map<number, number> {
  const span = distance(rgb, ground)
  const shares = new Map<number, number>()
  for (const pixel of blot) {
    const value = pixels[pixel]!
    let along = 0
    for (let at = 0; at < 3; at++) along += (value[at]! - ground[at]!) * (rgb[at]! - ground[at]!)
    shares.set(pixel, Math.min(Math.max(along / span, 0), 1))
  }
  return shares
}

/** Shared part of an outline and what is there over their union, 0..1. */
function overlap(
  { left, top, width, height, shares }: Coverage,
  found: Map<number, number>,
  side: number,
): number {
  let shared = 0
  let union = shares.reduce((sum, share) => sum + share, 0)
  for (const [pixel, share] of found) {
    const column = (pixel % side) - left
    const row = Math.floor(pixel / side) - top
    const isWithin = column >= 0 && column < width && row >= 0 && row < height
    const drawn = isWithin ? shares[row * width + column]! : 0
    shared += Math.min(drawn, share)
    union += Math.max(drawn, share) - drawn
  }
  return union > 0 ? shared / union : 0
}

/** How one object stands to another: along the coordinate in which they are further apart. */
export function relationOf(a: Thing, b: Thing): Relation {
  const x = a.x - b.x
  const y = a.y - b.y
  if (Math.abs(x) > Math.abs(y)) return x < 0 ? 'left' : 'right'
  return y < 0 ? 'above' : 'below'
}
