// The ways of edges: a curve to the next line, else through gaps, lanes and gutters, never across a box. Corners are
// round. Edges that carry the same share their way as far as it goes.

import type { Diagram } from './diagram.ts'
import { sizes, type PlacedGroup, type PlacedNode, type Point } from './places.ts'

/** From the lower side of the one box to the upper side of the other. */
export type Route = readonly Point[]

const cornerRadius = 10
const curveSteps = 14
const cornerSteps = 5
/** Between a box and the edges that run along it. */
const clearance = 12
const laneStep = 6

export function routeEdges(
  { nodes: described, edges }: Diagram,
  nodes: readonly PlacedNode[],
  groups: readonly PlacedGroup[],
): Route[] {
  const starts = ports(edges, 'from')
  const ends = ports(edges, 'to')
  const lanes = groups.map(() => new Map<number, number>())
  return edges.map(({ from, to, key }, index) => {
    const [source, target] = [nodes[from]!, nodes[to]!]
    const [sourceGroup, targetGroup] = [described[from]!.group, described[to]!.group]
    const start = { x: source.x + source.width * starts[index]!, y: source.y + source.height }
    const end = { x: target.x + target.width * ends[index]!, y: target.y }
    const isInside = sourceGroup === targetGroup
    const own = groups[sourceGroup]!
    // Past higher boxes of its line first.
    if (isInside && target.line === source.line + 1)
      return [start, ...curve({ x: start.x, y: own.lines[source.line]!.bottom }, end)]
    const other = groups[targetGroup]!
    const below = own.lines[source.line]!.bottom + clearance
    const above = other.lines[target.line]!.top - clearance
    const lane = (): number => {
      const taken = lanes[targetGroup]!
      const number = taken.get(key) ?? taken.size
      taken.set(key, number)
      return other.lanesFrom + sizes.laneWidth * (number + 0.75)
    }
    if (isInside) {
      const x = lane()
      return rounded([
        start,
        { x: start.x, y: below },
        { x, y: below },
        { x, y: above },
        { x: end.x, y: above },
        end,
      ])
    }
    // Aside by key, so that different values do not lie on each other.
    const aside = (key % 5) * laneStep
    const gutter = own.columnRight + sizes.gutter / 4 + aside
    const channel = other.y - sizes.gutter / 4 - aside
    const way = [start, { x: start.x, y: below }, { x: gutter, y: below }, { x: gutter, y: channel }]
    if (target.line === 0) return rounded([...way, { x: end.x, y: channel }, end])
    const x = lane()
    return rounded([...way, { x, y: channel }, { x, y: above }, { x: end.x, y: above }, end])
  })
}

/** Where on its side each edge meets its box, 0 to 1: those of one value leave at one place, all arrive apart. */
function ports(edges: Diagram['edges'], side: 'from' | 'to'): number[] {
  const slots = new Map<number, Map<string, number>>()
  const names = edges.map((edge, index) => (side === 'from' ? `${edge.key}` : `${index}`))
  edges.forEach((edge, index) => {
    const own = slots.get(edge[side]) ?? new Map<string, number>()
    if (!own.has(names[index]!)) own.set(names[index]!, own.size)
    slots.set(edge[side], own)
  })
  return edges.map((edge, index) => {
    const own = slots.get(edge[side])!
    return (own.get(names[index]!)! + 1) / (own.size + 1)
  })
}

/** An S between two lines. */
function curve(start: Point, end: Point): Route {
  const middle = (start.y + end.y) / 2
  return Array.from({ length: curveSteps + 1 }, (_, step) => {
    const t = step / curveSteps
    const [a, b, c, d] = [(1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t * t * (1 - t), t ** 3]
    return { x: (a + b) * start.x + (c + d) * end.x, y: a * start.y + (b + c) * middle + d * end.y }
  })
}

function rounded(corners: readonly Point[]): Route {
  const points = corners.filter((point, index) => {
    const last = corners[index - 1]
    return last === undefined || last.x !== point.x || last.y !== point.y
  })
  return points.flatMap((point, index): Point[] => {
    const last = points[index - 1]
    const next = points[index + 1]
    if (last === undefined || next === undefined) return [point]
    const from = towards(point, last)
    const to = towards(point, next)
    return Array.from({ length: cornerSteps + 1 }, (_, step) => {
      const t = step / cornerSteps
      const [a, b, c] = [(1 - t) ** 2, 2 * t * (1 - t), t * t]
      return { x: a * from.x + b * point.x + c * to.x, y: a * from.y + b * point.y + c * to.y }
    })
  })
}

/** From a corner along one of its sides, as far as the bend reaches. */
function towards(corner: Point, other: Point): Point {
  const length = Math.hypot(other.x - corner.x, other.y - corner.y)
  const share = Math.min(cornerRadius, length / 2) / length
  return { x: corner.x + (other.x - corner.x) * share, y: corner.y + (other.y - corner.y) * share }
}
