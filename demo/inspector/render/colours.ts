// Colours of what is drawn, light and dark. Families of ops have a hue each; times go from cold to hot.

import type { ChipKind } from '../diagram/diagram.ts'

/** 0 to 255 each; alpha 0 to 1. */
export type Rgba = readonly [red: number, green: number, blue: number, alpha: number]

export interface Palette {
  readonly page: Rgba
  readonly group: Rgba
  readonly groupLine: Rgba
  readonly box: Rgba
  readonly text: string
  readonly quiet: string
  readonly edge: Rgba
  readonly stateEdge: Rgba
  readonly orderEdge: Rgba
  readonly selected: Rgba
  readonly families: Readonly<Record<Family, Rgba>>
  readonly chips: Readonly<Record<ChipKind, Rgba>>
  /** Cold to hot. */
  readonly heat: readonly [Rgba, Rgba, Rgba]
  /** Of sequences in the KV cache, in turn. */
  readonly sequences: readonly Rgba[]
}

export type Family = 'linear' | 'attention' | 'norm' | 'rotary' | 'embedding' | 'sampling' | 'elementwise'

export const familyNames: Readonly<Record<Family, string>> = {
  linear: 'Linear',
  attention: 'Attention',
  norm: 'Norm',
  rotary: 'Rotary and cache write',
  embedding: 'Rows and tokens',
  sampling: 'Sampling',
  elementwise: 'Elementwise',
}

export function familyOf(op: string): Family {
  if (op.startsWith('linear')) return 'linear'
  if (op.startsWith('attention')) return 'attention'
  if (/norm/i.test(op)) return 'norm'
  if (/rotary|kvWrite/i.test(op)) return 'rotary'
  if (/embedding|gatherRows|selectTokens/.test(op)) return 'embedding'
  if (/sample|logits|countTokens/i.test(op)) return 'sampling'
  return 'elementwise'
}

const hex = (code: string, alpha = 1): Rgba => {
  const value = Number.parseInt(code, 16)
  return [value >> 16, (value >> 8) & 255, value & 255, alpha]
}

const light: Palette = {
  page: hex('f4f6f3'),
  group: hex('ffffff'),
  groupLine: hex('d5ddd4'),
  box: hex('ffffff'),
  text: '#1a211c',
  quiet: '#556058',
  edge: hex('93a096'),
  stateEdge: hex('c9862b'),
  orderEdge: hex('b4beb6'),
  selected: hex('12613a'),
  families: {
    linear: hex('2f6fd0'),
    attention: hex('a63fb5'),
    norm: hex('5c7a1f'),
    rotary: hex('bf7412'),
    embedding: hex('0f8577'),
    sampling: hex('c8453b'),
    elementwise: hex('6b7280'),
  },
  chips: { weight: hex('4b4fc4'), state: hex('d08a1d'), input: hex('6b7d72'), arena: hex('6b7d72') },
  heat: [hex('e9eef2'), hex('f2b34c'), hex('c6281c')],
  sequences: [hex('2f6fd0'), hex('c8453b'), hex('1d7a4c'), hex('a63fb5'), hex('bf7412'), hex('0f8577')],
}

const dark: Palette = {
  page: hex('0e120f'),
  group: hex('161c18'),
  groupLine: hex('2c362f'),
  box: hex('1c231f'),
  text: '#e6ece7',
  quiet: '#a2b0a6',
  edge: hex('66756b'),
  stateEdge: hex('b98435'),
  orderEdge: hex('4c5850'),
  selected: hex('7fe3ab'),
  families: {
    linear: hex('6ea8ff'),
    attention: hex('d98ae6'),
    norm: hex('a9c65b'),
    rotary: hex('edab53'),
    embedding: hex('4fc7b6'),
    sampling: hex('f2837a'),
    elementwise: hex('9aa3af'),
  },
  chips: { weight: hex('9a9dff'), state: hex('e0a548'), input: hex('93a79b'), arena: hex('93a79b') },
  heat: [hex('26302b'), hex('b8782a'), hex('ff5a48')],
  sequences: [hex('6ea8ff'), hex('f2837a'), hex('6fd39b'), hex('d98ae6'), hex('edab53'), hex('4fc7b6')],
}

export const paletteOf = (isDark: boolean): Palette => (isDark ? dark : light)

export function mix(a: Rgba, b: Rgba, share: number): Rgba {
  return [0, 1, 2, 3].map((index) => a[index]! + (b[index]! - a[index]!) * share) as unknown as Rgba
}

export const faded = ([red, green, blue, alpha]: Rgba, share: number): Rgba => [
  red,
  green,
  blue,
  alpha * share,
]

/** `heat` is 0 to 1. */
export function heatColour({ heat: [cold, warm, hot] }: Palette, heat: number): Rgba {
  return heat < 0.5 ? mix(cold, warm, heat * 2) : mix(warm, hot, heat * 2 - 1)
}

export function sequenceColour({ sequences }: Palette, id: number): Rgba {
  return sequences[(id - 1) % sequences.length]!
}

export const cssColour = ([red, green, blue, alpha]: Rgba): string =>
  `rgb(${Math.round(red)} ${Math.round(green)} ${Math.round(blue)} / ${alpha})`
