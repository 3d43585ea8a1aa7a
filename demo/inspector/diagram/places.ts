// Sizes and places of what is drawn. World units are CSS pixels at scale 1.

export interface Point {
  readonly x: number
  readonly y: number
}

export interface Rect {
  readonly x: number
  readonly y: number
  readonly width: number
  readonly height: number
}

export interface PlacedNode extends Rect {
  /** Of its group, from the top. */
  readonly line: number
}

export interface PlacedGroup extends Rect {
  /** Where the lines of nodes begin and end. */
  readonly lines: readonly { readonly top: number; readonly bottom: number }[]
  /** Right of all nodes; edges that pass lines run from here on. */
  readonly lanesFrom: number
  /** Right end of its column in the grid, where a gutter begins. */
  readonly columnRight: number
}

export const sizes = {
  nodeWidth: 224,
  nodePadding: 10,
  titleHeight: 20,
  lineHeight: 16,
  chipHeight: 18,
  chipGap: 4,
  groupPadding: 20,
  groupHeader: 52,
  lineGap: 40,
  nodeGap: 20,
  laneWidth: 12,
  gutter: 72,
} as const
