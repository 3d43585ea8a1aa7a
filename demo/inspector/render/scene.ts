// Layout and looks → what the GPU draws: instances of boxes and line segments. Pure.

import type { Diagram } from '../diagram/diagram.ts'
import type { Layout } from '../diagram/layout.ts'
import { sizes, type Point, type Rect } from '../diagram/places.ts'
import { faded, familyOf, heatColour, mix, type Palette, type Rgba } from './colours.ts'

/** Bytes: rectangle, fill, border, radius and width of the border. */
export const boxStride = 32
/** Bytes: two points, colour, width. */
export const lineStride = 24

/** Instances, from back to front. */
export interface Scene {
  readonly background: Rgba
  readonly groups: ArrayBuffer
  readonly lines: ArrayBuffer
  readonly boxes: ArrayBuffer
}

export interface Looks {
  readonly palette: Palette
  readonly selected: number | undefined
  readonly hovered: number | undefined
  /** Nodes that stand out; undefined where all are alike. */
  readonly highlighted: ReadonlySet<number> | undefined
  /** 0 to 1 by node; undefined where colours are those of families. */
  readonly heat: readonly number[] | undefined
}

const dimmed = 0.25

export function makeScene(diagram: Diagram, layout: Layout, looks: Looks): Scene {
  const { palette } = looks
  const groups = new BoxWriter(layout.groups.length)
  for (const group of layout.groups) groups.add(group, palette.group, palette.groupLine, 16, 1)
  return {
    background: palette.page,
    groups: groups.data,
    lines: lineInstances(diagram, layout, looks),
    boxes: nodeInstances(diagram, layout, looks),
  }
}

function nodeInstances(diagram: Diagram, layout: Layout, looks: Looks): ArrayBuffer {
  const { palette, selected, hovered, highlighted, heat } = looks
  const numChips = diagram.nodes.reduce((sum, { chips }) => sum + chips.length, 0)
  const boxes = new BoxWriter(diagram.nodes.length + numChips)
  diagram.nodes.forEach((node, index) => {
    const place = layout.nodes[index]!
    const share = highlighted === undefined || highlighted.has(index) ? 1 : dimmed
    const isSelected = index === selected
    const family = palette.families[familyOf(node.op)]
    const base = heat === undefined ? mix(palette.box, family, 0.14) : heatColour(palette, heat[index] ?? 0)
    const fill = index === hovered ? mix(base, family, 0.14) : base
    const stroke = isSelected ? palette.selected : heat === undefined ? family : mix(base, family, 0.4)
    boxes.add(place, shown(fill, share, palette), shown(stroke, share, palette), 8, isSelected ? 3 : 1.25)
    chipRects(place, node.chips.length).forEach((rect, chip) => {
      const colour = palette.chips[node.chips[chip]!.kind]
      boxes.add(rect, shown(mix(fill, colour, 0.22), share, palette), faded(colour, 0), 5, 0)
    })
  })
  return boxes.data
}

/** Towards the ground instead of transparent: nothing may shine through a box. */
const shown = (colour: Rgba, share: number, { group }: Palette): Rgba => mix(group, colour, share)

/** Where the chips of a node are, at its lower end. */
export function chipRects({ x, y, width, height }: Rect, count: number): Rect[] {
  const { nodePadding, chipHeight, chipGap } = sizes
  const top = y + height - nodePadding - count * (chipHeight + chipGap) + chipGap
  return Array.from({ length: count }, (_, index) => ({
    x: x + nodePadding,
    y: top + index * (chipHeight + chipGap),
    width: width - 2 * nodePadding,
    height: chipHeight,
  }))
}

function lineInstances({ edges }: Diagram, layout: Layout, looks: Looks): ArrayBuffer {
  const { palette, selected, highlighted } = looks
  const colours = { value: palette.edge, state: palette.stateEdge, order: palette.orderEdge }
  const isActive = ({ from, to }: Diagram['edges'][number]): boolean => from === selected || to === selected
  const arrow = ({ x, y }: Point): [number, number, number, number][] => [
    [x - 4, y - 6, x, y],
    [x + 4, y - 6, x, y],
  ]
  // Active ones last, on top of the others.
  const drawn = edges
    .map((edge, index) => ({ edge, index, isActive: isActive(edge) }))
    .sort((a, b) => Number(a.isActive) - Number(b.isActive))
    .map(({ edge, index, isActive }) => {
      const route = layout.edges[index]!
      const segments = route
        .slice(1)
        .map((point, step): [number, number, number, number] => [
          route[step]!.x,
          route[step]!.y,
          point.x,
          point.y,
        ])
      const isDim = highlighted !== undefined && !(highlighted.has(edge.from) && highlighted.has(edge.to))
      const colour = isActive ? palette.selected : mix(palette.page, colours[edge.kind], isDim ? dimmed : 1)
      return { colour, width: isActive ? 3 : 1.75, segments: [...segments, ...arrow(route.at(-1)!)] }
    })
  const count = drawn.reduce((sum, { segments }) => sum + segments.length, 0)
  const data = new ArrayBuffer(count * lineStride)
  const view = new DataView(data)
  let at = 0
  for (const { colour, width, segments } of drawn) {
    for (const segment of segments) {
      segment.forEach((value, index) => view.setFloat32(at + 4 * index, value, true))
      setColour(view, at + 16, colour)
      view.setFloat32(at + 20, width, true)
      at += lineStride
    }
  }
  return data
}

class BoxWriter {
  readonly data: ArrayBuffer
  readonly #view: DataView
  #at = 0

  constructor(count: number) {
    this.data = new ArrayBuffer(count * boxStride)
    this.#view = new DataView(this.data)
  }

  add({ x, y, width, height }: Rect, fill: Rgba, stroke: Rgba, radius: number, border: number): void {
    const at = this.#at
    ;[x, y, width, height].forEach((value, index) => this.#view.setFloat32(at + 4 * index, value, true))
    setColour(this.#view, at + 16, fill)
    setColour(this.#view, at + 20, stroke)
    this.#view.setFloat32(at + 24, radius, true)
    this.#view.setFloat32(at + 28, border, true)
    this.#at += boxStride
  }
}

function setColour(view: DataView, at: number, [red, green, blue, alpha]: Rgba): void {
  ;[red, green, blue, alpha * 255].forEach((value, index) => view.setUint8(at + index, Math.round(value)))
}
