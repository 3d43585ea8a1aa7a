// What a drawn picture is made of: the words of shapes.json, typed. The file is the one specification from which
// drawShapes.ts and the training (test/golden/train/sdxl_shapes.py) draw. Next: scene.ts, drawShapes.ts, judge.ts.

import specification from './shapes.json'

export type Shape = 'circle' | 'square' | 'triangle' | 'cross'
export type Colour = 'red' | 'yellow' | 'green' | 'cyan' | 'blue' | 'purple'
export type Size = 'small' | 'large'
export type Background = 'white' | 'black' | 'gray' | 'beige' | 'navy'
export type Relation = 'left' | 'right' | 'above' | 'below'

/** Around the origin, filling the box from −1 to 1; y points down. */
export type Outline = { readonly radius: number } | { readonly polygon: readonly (readonly number[])[] }

interface ShapesSpec {
  readonly shapes: Readonly<Record<Shape, Outline>>
  /** sRGB bytes. */
  readonly colours: Readonly<Record<Colour, readonly number[]>>
  readonly backgrounds: Readonly<Record<Background, readonly number[]>>
  /** Least and largest half extent of an object, in sides of the picture. */
  readonly sizes: Readonly<Record<Size, readonly number[]>>
  /** `first`: whether the object named first has the smaller coordinate. */
  readonly relations: Readonly<Record<Relation, { readonly axis: string; readonly first: boolean }>>
  readonly geometry: {
    /** Room to the picture's edge, and between two objects, in sides. */
    readonly margin: number
    readonly gap: number
    /** How far two objects may be off a common row or column. */
    readonly drift: number
    readonly samplesPerPixelSide: number
  }
  /** Share of pictures with two objects. */
  readonly two: number
  readonly heldOut: { readonly modulus: number; readonly weights: readonly number[] }
  readonly captions: {
    /** How often a caption names what it may leave open. */
    readonly mention: { readonly size: number; readonly background: number }
    readonly words: Readonly<Record<Shape | Size | Relation, readonly string[]>>
    readonly one: readonly string[]
    readonly two: readonly string[]
    readonly background: readonly string[]
  }
}

export const spec: ShapesSpec = specification

// The order of the keys counts: random picks and the held-out rule go by it.
export const shapes: readonly Shape[] = Object.keys(spec.shapes) as Shape[]
export const colours: readonly Colour[] = Object.keys(spec.colours) as Colour[]
export const sizes: readonly Size[] = Object.keys(spec.sizes) as Size[]
export const backgrounds: readonly Background[] = Object.keys(spec.backgrounds) as Background[]
export const relations: readonly Relation[] = Object.keys(spec.relations) as Relation[]

/** An object in a picture: its centre and half its extent in sides of the picture. */
export interface Thing {
  readonly shape: Shape
  readonly colour: Colour
  readonly size: Size
  readonly x: number
  readonly y: number
  readonly extent: number
}

/** One or two objects; `relation` is how the first stands to the second. */
export interface Scene {
  readonly background: Background
  readonly relation: Relation | undefined
  readonly things: readonly Thing[]
}
