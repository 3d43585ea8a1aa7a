// Whether a picture shows what its caption asks for, and what share of many pictures does. The eyes are in judge.ts.

import { relationOf, type FoundThing, type Judgement } from './judge.ts'
import type { Background, Colour, Relation, Shape, Size } from './shapes.ts'

/** What a caption asks for, the first object first; undefined where it leaves something open. */
export interface Wanted {
  readonly things: readonly {
    readonly shape: Shape
    readonly colour: Colour
    readonly size: Size | undefined
  }[]
  readonly relation: Relation | undefined
  readonly background: Background | undefined
}

/** Undefined where the caption does not ask for it. */
export interface Score {
  /** An object of the first one's shape and colour is there. */
  readonly first: boolean
  /** Both objects are, and they are two. */
  readonly both: boolean | undefined
  /** Both are there and stand to each other as asked. */
  readonly relation: boolean | undefined
  /** Every object whose size is named is there in that size. */
  readonly sizes: boolean | undefined
  readonly background: boolean | undefined
  /** All of these, and nothing else in the picture. */
  readonly exact: boolean
}

/** A share of successes with its 95 % Wilson interval, all 0..1. */
export interface Rate {
  readonly count: number
  readonly of: number
  readonly rate: number
  readonly low: number
  readonly high: number
}

type WantedThing = Wanted['things'][number]

function isOf(found: FoundThing, { shape, colour }: WantedThing): boolean {
  return found.shape === shape && found.colour === colour
}

function hasSize(found: FoundThing, { size }: WantedThing): boolean {
  return size === undefined || found.size === size
}

/** Compares what was seen with what was asked for. */
export function scorePicture({ things, background, numUnknown }: Judgement, wanted: Wanted): Score {
  const [first, second] = wanted.things
  const firsts = things.filter((thing) => isOf(thing, first!))
  const pairs =
    second === undefined
      ? []
      : firsts.flatMap((a) => things.filter((b) => b !== a && isOf(b, second)).map((b) => [a, b] as const))
  const isPlaced = pairs.some(([a, b]) => relationOf(a, b) === wanted.relation)
  const namesSize = wanted.things.some(({ size }) => size !== undefined)
  const isSized = wanted.things.every((thing) =>
    things.some((found) => isOf(found, thing) && hasSize(found, thing)),
  )
  const isOnGround = wanted.background === undefined || wanted.background === background
  const isThere = second === undefined ? firsts.length > 0 : isPlaced
  return {
    first: firsts.length > 0,
    both: second === undefined ? undefined : pairs.length > 0,
    relation: wanted.relation === undefined ? undefined : isPlaced,
    sizes: namesSize ? isSized : undefined,
    background: wanted.background === undefined ? undefined : isOnGround,
    exact: isThere && isSized && isOnGround && things.length === wanted.things.length && numUnknown === 0,
  }
}

/** Share of true answers among those that are not undefined. */
export function rateOf(answers: readonly (boolean | undefined)[]): Rate {
  const given = answers.filter((answer) => answer !== undefined)
  const of = given.length
  const count = given.filter(Boolean).length
  if (of === 0) return { count, of, rate: Number.NaN, low: 0, high: 1 }
  const rate = count / of
  const z = 1.96
  const middle = (rate + z ** 2 / (2 * of)) / (1 + z ** 2 / of)
  const spread = (z / (1 + z ** 2 / of)) * Math.sqrt((rate * (1 - rate)) / of + z ** 2 / (4 * of ** 2))
  return { count, of, rate, low: Math.max(0, middle - spread), high: Math.min(1, middle + spread) }
}
