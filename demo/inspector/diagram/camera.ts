// What part of the diagram is seen: a point in the middle and a scale. All conversions go through the matrix that the
// GPU draws with, or its inverse.

import { mat4, vec3 } from 'wgpu-matrix'
import type { Point, Rect } from './places.ts'

export interface Camera {
  /** World coordinates of the middle. */
  readonly x: number
  readonly y: number
  /** CSS pixels of a world unit. */
  readonly scale: number
}

/** CSS pixels. */
export interface Viewport {
  readonly width: number
  readonly height: number
}

const leastScale = 0.02
const mostScale = 4
/** Of a diagram that fills the view. */
const margin = 16

/** Clip from world coordinates, y downwards. */
export function viewMatrix({ x, y, scale }: Camera, { width, height }: Viewport): Float32Array {
  const matrix = mat4.ortho(0, width, height, 0, -1, 1)
  mat4.translate(matrix, [width / 2, height / 2, 0], matrix)
  mat4.scale(matrix, [scale, scale, 1], matrix)
  return mat4.translate(matrix, [-x, -y, 0], matrix)
}

/** Of a point in the viewport, CSS pixels from its upper left. */
export function toWorld(point: Point, camera: Camera, viewport: Viewport): Point {
  const clip = [(2 * point.x) / viewport.width - 1, 1 - (2 * point.y) / viewport.height, 0]
  const [x = 0, y = 0] = vec3.transformMat4(clip, mat4.inverse(viewMatrix(camera, viewport)))
  return { x, y }
}

export function toScreen(point: Point, camera: Camera, viewport: Viewport): Point {
  const [x = 0, y = 0] = vec3.transformMat4([point.x, point.y, 0], viewMatrix(camera, viewport))
  return { x: ((x + 1) * viewport.width) / 2, y: ((1 - y) * viewport.height) / 2 }
}

export function pan(camera: Camera, dx: number, dy: number): Camera {
  return { ...camera, x: camera.x - dx / camera.scale, y: camera.y - dy / camera.scale }
}

/** What is at `anchor` stays there. */
export function zoomAt(camera: Camera, viewport: Viewport, anchor: Point, factor: number): Camera {
  const scale = Math.min(mostScale, Math.max(leastScale, camera.scale * factor))
  const fixed = toWorld(anchor, camera, viewport)
  const x = fixed.x - (anchor.x - viewport.width / 2) / scale
  const y = fixed.y - (anchor.y - viewport.height / 2) / scale
  return { x, y, scale }
}

/** CSS pixels along the sides of a viewport where something lies over it. */
export interface Insets {
  readonly top: number
  readonly right: number
  readonly bottom: number
}

/** All of a rectangle in what is not covered, no larger than its size. */
export function fit(
  { x, y, width, height }: Rect,
  viewport: Viewport,
  { top, right, bottom }: Insets,
): Camera {
  const room = {
    width: viewport.width - right - 2 * margin,
    height: viewport.height - top - bottom - 2 * margin,
  }
  const scale = Math.min(1, room.width / Math.max(1, width), room.height / Math.max(1, height))
  const used = Math.max(leastScale, scale)
  return centred({ x: x + width / 2, y: y + height / 2 }, used, { top, right, bottom })
}

/** A point in the middle of what is not covered. */
export function centred({ x, y }: Point, scale: number, { top, right, bottom }: Insets): Camera {
  return { x: x + right / 2 / scale, y: y + (bottom - top) / 2 / scale, scale }
}

/** The node, else the group, at a point of the world. */
export function hit(
  { x, y }: Point,
  { nodes, groups }: { readonly nodes: readonly Rect[]; readonly groups: readonly Rect[] },
): { readonly node?: number; readonly group?: number } {
  const contains = (rect: Rect): boolean =>
    x >= rect.x && x <= rect.x + rect.width && y >= rect.y && y <= rect.y + rect.height
  const node = nodes.findIndex(contains)
  const group = groups.findIndex(contains)
  return { ...(node !== -1 && { node }), ...(group !== -1 && { group }) }
}
