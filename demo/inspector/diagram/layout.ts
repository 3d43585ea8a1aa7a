// Where everything stands. A group is a column of lines, each op below what it takes from; groups fill a grid like text,
// with gutters between them in which edges run. Not here: the way of an edge (routes.ts).

import type { Diagram, DiagramNode } from './diagram.ts'
import { sizes, type PlacedGroup, type PlacedNode } from './places.ts'
import { routeEdges, type Route } from './routes.ts'

export interface Layout {
  /** By node of the diagram. */
  readonly nodes: readonly PlacedNode[]
  /** By group of the diagram. */
  readonly groups: readonly PlacedGroup[]
  /** By edge of the diagram. */
  readonly edges: readonly Route[]
  readonly width: number
  readonly height: number
}

/** More ops than this are not put side by side. */
const maxPerLine = 3

function nodeHeight({ lines, chips }: Pick<DiagramNode, 'lines' | 'chips'>): number {
  const { nodePadding, titleHeight, lineHeight, chipHeight, chipGap } = sizes
  const text = titleHeight + lineHeight * (1 + lines.length)
  return 2 * nodePadding + text + chips.length * (chipHeight + chipGap)
}

/** `aspect` is width by height of the area to be filled. */
export function layOut(diagram: Diagram, aspect: number): Layout {
  const heights = diagram.nodes.map(nodeHeight)
  const linesOf = groupLines(diagram)
  const grid = bestGrid(measureGroups(linesOf, countLanes(diagram, linesOf), heights), aspect)
  const nodes: PlacedNode[] = []
  const groups = linesOf.map((lines, index): PlacedGroup => {
    const { x, y, columnRight, size } = grid.cells[index]!
    let top = y + sizes.groupHeader
    const places = lines.map((line, lineIndex) => {
      const height = Math.max(...line.map((node) => heights[node]!))
      const left = x + sizes.groupPadding + (size.contentWidth - lineWidth(line)) / 2
      line.forEach((node, position) => {
        const nodeX = left + position * (sizes.nodeWidth + sizes.nodeGap)
        nodes[node] = { x: nodeX, y: top, width: sizes.nodeWidth, height: heights[node]!, line: lineIndex }
      })
      const place = { top, bottom: top + height }
      top += height + sizes.lineGap
      return place
    })
    const lanesFrom = x + sizes.groupPadding + size.contentWidth
    return { x, y, width: size.width, height: size.height, lines: places, lanesFrom, columnRight }
  })
  const { width, height } = grid
  return { nodes, groups, edges: routeEdges(diagram, nodes, groups), width, height }
}

interface GroupSize {
  readonly width: number
  readonly height: number
  /** Of its widest line. */
  readonly contentWidth: number
}

const lineWidth = (line: readonly number[]): number =>
  line.length * (sizes.nodeWidth + sizes.nodeGap) - sizes.nodeGap

function measureGroups(
  linesOf: readonly number[][][],
  numLanes: readonly number[],
  heights: readonly number[],
): GroupSize[] {
  const { groupPadding, groupHeader, lineGap, laneWidth } = sizes
  return linesOf.map((lines, index) => {
    const contentWidth = Math.max(...lines.map(lineWidth))
    const lineHeights = lines.map((line) => Math.max(...line.map((node) => heights[node]!)))
    return {
      contentWidth,
      width: contentWidth + 2 * groupPadding + numLanes[index]! * laneWidth,
      height:
        groupHeader + groupPadding + lineHeights.reduce((sum, height) => sum + height + lineGap, -lineGap),
    }
  })
}

interface Grid {
  readonly cells: readonly {
    readonly x: number
    readonly y: number
    readonly columnRight: number
    readonly size: GroupSize
  }[]
  readonly width: number
  readonly height: number
}

/** With so many columns that all of it is seen as large as can be. */
function bestGrid(groups: readonly GroupSize[], aspect: number): Grid {
  const grids = groups.map((_, index) => gridOf(groups, index + 1))
  const scale = ({ width, height }: Grid): number => Math.min(aspect / width, 1 / height)
  return grids.reduce((best, grid) => (scale(grid) > scale(best) ? grid : best), gridOf(groups, 1))
}

function gridOf(groups: readonly GroupSize[], columns: number): Grid {
  const { gutter } = sizes
  const columnWidths: number[] = []
  const rowHeights: number[] = []
  groups.forEach(({ width, height }, index) => {
    const [column, row] = [index % columns, Math.floor(index / columns)]
    columnWidths[column] = Math.max(columnWidths[column] ?? 0, width)
    rowHeights[row] = Math.max(rowHeights[row] ?? 0, height)
  })
  // Edges run above the first row and right of the last column, too.
  const ends = (lengths: readonly number[]): number[] =>
    lengths.reduce<number[]>((all, length) => [...all, all.at(-1)! + length + gutter], [gutter])
  const [lefts, tops] = [ends(columnWidths), ends(rowHeights)]
  return {
    cells: groups.map((size, index) => ({
      x: lefts[index % columns]!,
      y: tops[Math.floor(index / columns)]!,
      columnRight: lefts[(index % columns) + 1]! - gutter,
      size,
    })),
    width: lefts.at(-1)!,
    height: tops.at(-1)!,
  }
}

/** Nodes of each group in lines: below all that they take from in the group. */
function groupLines({ groups, nodes, edges }: Diagram): number[][][] {
  const before = new Map<number, number[]>()
  for (const { from, to } of edges) {
    if (nodes[from]!.group !== nodes[to]!.group) continue
    before.set(to, [...(before.get(to) ?? []), from])
  }
  const ranks: number[] = []
  const byRank: number[][][] = groups.map(() => [])
  nodes.forEach(({ group }, index) => {
    const rank = Math.max(-1, ...(before.get(index) ?? []).map((from) => ranks[from]!)) + 1
    ranks[index] = rank
    ;(byRank[group]![rank] ??= []).push(index)
  })
  return byRank.map((ranked) =>
    ranked.flatMap((rank) =>
      Array.from({ length: Math.ceil(rank.length / maxPerLine) }, (_, part) =>
        rank.slice(part * maxPerLine, (part + 1) * maxPerLine),
      ),
    ),
  )
}

/** By group: values that pass a line of it on their way. */
function countLanes({ nodes, edges, groups }: Diagram, linesOf: readonly number[][][]): number[] {
  const lineOf = new Map(
    linesOf.flatMap((lines) => lines.flatMap((line, index) => line.map((node) => [node, index] as const))),
  )
  const keys = groups.map(() => new Set<number>())
  for (const { from, to, key } of edges) {
    const target = nodes[to]!.group
    const isNear =
      nodes[from]!.group === target ? lineOf.get(to) === 1 + lineOf.get(from)! : lineOf.get(to) === 0
    if (!isNear) keys[target]!.add(key)
  }
  return keys.map(({ size }) => size)
}
