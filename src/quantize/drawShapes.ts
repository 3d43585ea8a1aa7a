// Draws scenes to pixels: antialiased by a regular grid of samples a pixel, mixed in sRGB bytes. What is drawn comes
// from scene.ts, what things look like from shapes.json; judge.ts reads pictures back.

import { spec, type Outline, type Scene, type Shape } from './shapes.ts'

/** Rows from the top, four bytes a pixel (RGBA, alpha not used). */
export interface Picture {
  readonly width: number
  readonly height: number
  readonly data: Uint8Array | Uint8ClampedArray
}

/** A rectangle of pixels and how much of each an object covers, 0..1. */
export interface Coverage {
  readonly left: number
  readonly top: number
  readonly width: number
  readonly height: number
  readonly shares: Float64Array
}

/** Whether a point lies in an outline around the origin; polygons by the even-odd rule. */
function isInside(outline: Outline, x: number, y: number): boolean {
  if ('radius' in outline) return x * x + y * y <= outline.radius * outline.radius
  let inside = false
  let before = outline.polygon.at(-1)!
  for (const corner of outline.polygon) {
    const ay = before[1]!
    const by = corner[1]!
    if (ay > y !== by > y && x < before[0]! + ((y - ay) * (corner[0]! - before[0]!)) / (by - ay))
      inside = !inside
    before = corner
  }
  return inside
}

/** Which pixels of a picture of `side` pixels an object covers. Position and extent are in sides. */
export function coverageOf(
  shape: Shape,
  { x, y, extent }: { x: number; y: number; extent: number },
  side: number,
): Coverage {
  const samples = spec.geometry.samplesPerPixelSide
  const outline = spec.shapes[shape]
  const left = Math.max(0, Math.floor((x - extent) * side))
  const top = Math.max(0, Math.floor((y - extent) * side))
  const width = Math.max(0, Math.min(side, Math.ceil((x + extent) * side)) - left)
  const height = Math.max(0, Math.min(side, Math.ceil((y + extent) * side)) - top)
  const shares = new Float64Array(width * height)
  for (let row = 0; row < height * samples; row++) {
    const dy = ((top * samples + row + 0.5) / (side * samples) - y) / extent
    for (let column = 0; column < width * samples; column++) {
      const dx = ((left * samples + column + 0.5) / (side * samples) - x) / extent
      if (!isInside(outline, dx, dy)) continue
      shares[Math.floor(row / samples) * width + Math.floor(column / samples)]! += 1 / samples ** 2
    }
  }
  return { left, top, width, height, shares }
}

/** A scene as a square picture of `side` × `side` pixels. */
export function drawShapes(scene: Scene, side: number): Picture {
  const mixed = new Float64Array(side * side * 3)
  const paint = (pixel: number, rgb: readonly number[], share: number): void => {
    for (let channel = 0; channel < 3; channel++) {
      const at = pixel * 3 + channel
      mixed[at]! += (rgb[channel]! - mixed[at]!) * share
    }
  }
  for (let pixel = 0; pixel < side * side; pixel++) paint(pixel, spec.backgrounds[scene.background], 1)
  for (const thing of scene.things) {
    const { left, top, width, shares } = coverageOf(thing.shape, thing, side)
    shares.forEach((share, at) => {
      const pixel = (top + Math.floor(at / width)) * side + left + (at % width)
      paint(pixel, spec.colours[thing.colour], share)
    })
  }
  const data = new Uint8Array(side * side * 4).fill(255)
  mixed.forEach((value, at) => (data[Math.floor(at / 3) * 4 + (at % 3)] = Math.floor(value + 0.5)))
  return { width: side, height: side, data }
}
