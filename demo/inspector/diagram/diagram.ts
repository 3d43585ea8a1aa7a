// What is drawn, whatever it shows: nodes in groups, edges between them. Not here: where they stand (layout.ts) and what
// they look like (../render).

/** What a chip stands for; also the kinds of buffers. */
export type ChipKind = 'weight' | 'state' | 'input' | 'arena'

export interface Chip {
  readonly kind: ChipKind
  readonly label: string
}

export interface DiagramNode {
  /** Index into the diagram's groups. */
  readonly group: number
  readonly title: string
  /** Within its group. */
  readonly path: string
  readonly lines: readonly string[]
  readonly chips: readonly Chip[]
  /** Kind of op: decides the colour. */
  readonly op: string
}

export interface DiagramEdge {
  readonly from: number
  readonly to: number
  /** `order` is that of execution. */
  readonly kind: 'value' | 'state' | 'order'
  /** Edges with equal keys carry the same and may share their way. */
  readonly key: number
}

export interface Diagram {
  /** In the order of the model. */
  readonly groups: readonly string[]
  /** In execution order. */
  readonly nodes: readonly DiagramNode[]
  readonly edges: readonly DiagramEdge[]
}

/** The layer of a path, `layers.3` of `layers.3.attn.o_proj`; undefined outside the layers. */
const layerOf = (origin: string): string | undefined => /^[^.]+(?:\.[^.\d]+)*\.\d+(?=\.|$)/.exec(origin)?.[0]

const titleOf = (layer: string): string => layer.replace(/^layers\.(\d+)$/, 'Layer $1')

/** Groups of ops by layer, with those before and after the layers on their own. */
export function groupByLayer(origins: readonly string[]): {
  readonly groups: readonly string[]
  /** By op. */
  readonly places: readonly { readonly group: number; readonly path: string }[]
} {
  const groups: string[] = []
  const indices = new Map<string, number>()
  let hasLayers = false
  const places = origins.map((origin) => {
    const layer = layerOf(origin)
    hasLayers ||= layer !== undefined
    const title = layer === undefined ? (hasLayers ? 'Output' : 'Input') : titleOf(layer)
    const group = indices.get(title) ?? groups.push(title) - 1
    indices.set(title, group)
    return { group, path: layer === undefined ? origin : origin.slice(layer.length + 1) }
  })
  return { groups, places }
}
