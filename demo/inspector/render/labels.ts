// The text of a diagram, on a 2-D canvas over the drawn one: crisp at every zoom. From afar only groups are named, from
// nearer by also kinds.

import { toScreen, type Camera, type Viewport } from '../diagram/camera.ts'
import type { Diagram, DiagramNode } from '../diagram/diagram.ts'
import type { Layout } from '../diagram/layout.ts'
import { sizes, type Rect } from '../diagram/places.ts'
import { cssColour, faded, heatColour, type Palette, type Rgba } from './colours.ts'
import { chipRects } from './scene.ts'

export interface LabelStyle {
  readonly palette: Palette
  readonly highlighted: ReadonlySet<number> | undefined
  readonly heat: readonly number[] | undefined
  /** What stands at the right of a node's title, by node. */
  readonly notes: readonly string[] | undefined
}

const family = 'system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif'
const fonts = {
  title: `600 13px ${family}`,
  text: `11.5px ${family}`,
} as const
/** From this scale on, all text in a box can be read; below it, only what kind of op it is. */
const nearScale = 0.42
/** Below this scale only groups are named. */
const midScale = 0.16
/** CSS pixels, where the scale allows. */
const groupSize = 15
const kindSize = 12
/** World units: names of neighbours must not meet. */
const mostFarSize = 74

export function drawLabels(
  context: CanvasRenderingContext2D,
  diagram: Diagram,
  layout: Layout,
  style: LabelStyle,
  view: { readonly camera: Camera; readonly viewport: Viewport; readonly dpr: number },
): void {
  const { camera, viewport, dpr } = view
  context.setTransform(1, 0, 0, 1, 0, 0)
  context.clearRect(0, 0, context.canvas.width, context.canvas.height)
  const origin = toScreen({ x: 0, y: 0 }, camera, viewport)
  const isSeen = ({ x, y, width, height }: Rect): boolean => {
    const left = origin.x + x * camera.scale
    const top = origin.y + y * camera.scale
    return (
      left < viewport.width &&
      top < viewport.height &&
      left + width * camera.scale > 0 &&
      top + height * camera.scale > 0
    )
  }
  const scale = camera.scale * dpr
  context.setTransform(scale, 0, 0, scale, origin.x * dpr, origin.y * dpr)
  context.textBaseline = 'middle'
  const { scale: zoom } = camera
  layout.groups.forEach((group, index) => {
    if (isSeen(group)) drawGroupName(context, group, diagram.groups[index]!, style, zoom)
  })
  if (zoom < midScale) return
  diagram.nodes.forEach((node, index) => {
    const place = layout.nodes[index]!
    if (!isSeen(place)) return
    context.globalAlpha = style.highlighted === undefined || style.highlighted.has(index) ? 1 : 0.35
    if (zoom >= nearScale) drawNode(context, node, place, style, index)
    else drawKind(context, node, place, style, index, zoom)
    context.globalAlpha = 1
  })
}

/** In the head of the group; from afar over it, since its head is too small. */
function drawGroupName(
  context: CanvasRenderingContext2D,
  { x, y, width, height }: Rect,
  name: string,
  { palette }: LabelStyle,
  zoom: number,
): void {
  const isFar = zoom < midScale
  const size = Math.min(Math.max(17, groupSize / zoom), isFar ? mostFarSize : sizes.groupHeader * 0.8)
  context.font = `650 ${size}px ${family}`
  context.fillStyle = palette.text
  if (!isFar) {
    context.textAlign = 'left'
    context.fillText(shortened(context, name, width * 0.8), x + sizes.groupPadding, y + sizes.groupHeader / 2)
    return
  }
  const textWidth = context.measureText(name).width
  const middle = { x: x + width / 2, y: y + height / 2 }
  context.textAlign = 'center'
  context.fillStyle = cssColour(faded(palette.group, 0.9))
  context.beginPath()
  context.roundRect(
    middle.x - textWidth / 2 - size * 0.6,
    middle.y - size,
    textWidth + size * 1.2,
    size * 2,
    size / 2,
  )
  context.fill()
  context.fillStyle = palette.text
  context.fillText(name, middle.x, middle.y)
}

/** One word in the upper half of the box, as large as it can be. */
function drawKind(
  context: CanvasRenderingContext2D,
  { title, chips }: DiagramNode,
  place: Rect,
  style: LabelStyle,
  index: number,
  zoom: number,
): void {
  const wanted = kindSize / zoom
  const room = place.width - 2 * sizes.nodePadding
  context.font = `600 ${wanted}px ${family}`
  const chipsTop = chipRects(place, chips.length)[0]?.y ?? place.y + place.height
  const fits = Math.min(room / context.measureText(title).width, ((chipsTop - place.y) * 0.6) / wanted)
  const size = wanted * Math.min(1, fits)
  context.font = `600 ${size}px ${family}`
  context.textAlign = 'center'
  context.fillStyle = inkFor(style, index) ?? style.palette.text
  context.fillText(title, place.x + place.width / 2, (place.y + chipsTop) / 2)
}

/** Where the box is hot, what can be read on it. */
function inkFor({ heat, palette }: LabelStyle, index: number): string | undefined {
  return heat === undefined ? undefined : inkOn(heatColour(palette, heat[index] ?? 0))
}

function drawNode(
  context: CanvasRenderingContext2D,
  { title, path, lines, chips }: DiagramNode,
  place: Rect,
  style: LabelStyle,
  index: number,
): void {
  const { nodePadding, titleHeight, lineHeight } = sizes
  const { palette, notes } = style
  const ink = inkFor(style, index)
  const left = place.x + nodePadding
  const room = place.width - 2 * nodePadding
  let y = place.y + nodePadding + titleHeight / 2
  const note = notes?.[index]
  let noteWidth = 0
  if (note !== undefined) {
    context.textAlign = 'right'
    context.font = fonts.title
    context.fillStyle = ink ?? palette.text
    noteWidth = context.measureText(note).width + 8
    context.fillText(note, place.x + place.width - nodePadding, y)
  }
  context.textAlign = 'left'
  const write = (text: string, font: string, colour: string, width: number): void => {
    context.font = font
    context.fillStyle = colour
    context.fillText(shortened(context, text, width), left, y)
  }
  write(title, fonts.title, ink ?? palette.text, room - noteWidth)
  y += titleHeight / 2 + lineHeight / 2
  for (const line of [path, ...lines]) {
    write(line, fonts.text, ink ?? palette.quiet, room)
    y += lineHeight
  }
  chipRects(place, chips.length).forEach((rect, chip) => {
    context.font = fonts.text
    context.fillStyle = ink ?? palette.text
    const text = shortened(context, chips[chip]!.label, rect.width - 14)
    context.fillText(text, rect.x + 7, rect.y + rect.height / 2 + 0.5)
  })
}

/** Black or white, whichever is read better on a colour. */
function inkOn([red, green, blue]: Rgba): string {
  return 0.299 * red + 0.587 * green + 0.114 * blue > 140 ? '#14181a' : '#ffffff'
}

const cut = new Map<string, string>()

/** With an ellipsis where it is wider than `width`. */
function shortened(context: CanvasRenderingContext2D, text: string, width: number): string {
  const key = `${context.font} ${width} ${text}`
  const known = cut.get(key)
  if (known !== undefined) return known
  let length = text.length
  const shown = (): string => (length === text.length ? text : `${text.slice(0, length)}…`)
  while (length > 1 && context.measureText(shown()).width > width) length--
  cut.set(key, shown())
  return shown()
}
