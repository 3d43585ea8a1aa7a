// The judge against drawings whose content is known: a thousand clean ones, and ones spoilt by blur, noise and shifted
// colours. Drawings equal those of the training's Python (drawShapes.test.ts).

import { describe, expect, test } from 'vitest'
import { drawShapes, type Picture } from '../../../src/quantize/drawShapes.ts'
import { judgePicture, relationOf, type Judgement } from '../../../src/quantize/judge.ts'
import { exampleOf } from '../../../src/quantize/scene.ts'
import type { Scene, Thing } from '../../../src/quantize/shapes.ts'
import { degrade, type Damage } from './degrade.ts'

/** Whether everything is said rightly: background, every object with its size and place, how they stand, no more. */
function isRight(scene: Scene, { background, things, numUnknown }: Judgement): boolean {
  const found = scene.things.map(({ shape, colour, size, x, y }) =>
    things.find(
      (thing) =>
        [thing.shape, thing.colour, thing.size].join() === [shape, colour, size].join() &&
        Math.hypot(thing.x - x, thing.y - y) < 0.02,
    ),
  )
  const [first, second] = found
  if (background !== scene.background || things.length !== found.length || numUnknown > 0) return false
  if (found.includes(undefined)) return false
  return scene.relation === undefined || relationOf(first!, second!) === scene.relation
}

/** Share of `count` drawings that are read rightly. */
function accuracy(count: number, side: number, damage: Damage): number {
  let right = 0
  for (let index = 0; index < count; index++) {
    const { scene } = exampleOf(77, index)
    if (isRight(scene, judgePicture(degrade(drawShapes(scene, side), damage, index)))) right++
  }
  return right / count
}

describe('drawings are read rightly', () => {
  test('clean ones at 64×64', { timeout: 300_000 }, () => {
    expect(accuracy(1000, 64, {})).toBeGreaterThanOrEqual(0.99)
  })

  test('clean ones at 128×128', { timeout: 300_000 }, () => {
    expect(accuracy(60, 128, {})).toBe(1)
  })

  test.each<[damage: Damage, least: number]>([
    [{ noise: 20 }, 0.99],
    [{ noise: 50 }, 0.9],
    [{ blur: 1 }, 0.99],
    [{ blur: 2 }, 0.96],
    [{ shift: 10 }, 0.99],
    [{ noise: 12, blur: 1, shift: 8 }, 0.98],
  ])('spoilt by %o', { timeout: 300_000 }, (damage, least) => {
    expect(accuracy(100, 64, damage)).toBeGreaterThanOrEqual(least)
  })
})

const redSquare: Thing = { shape: 'square', colour: 'red', size: 'small', x: 0.4, y: 0.5, extent: 0.1 }

function draw(things: readonly Thing[]): Picture {
  return drawShapes({ background: 'white', relation: undefined, things }, 64)
}

describe('pictures that were never drawn so', () => {
  test('an empty one shows its background alone', () => {
    expect(judgePicture(draw([]))).toEqual({ background: 'white', things: [], numUnknown: 0 })
  })

  test('objects that touch are told apart by colour, the largest first', () => {
    const beside: Thing = { ...redSquare, colour: 'blue', x: 0.68, extent: 0.18 }
    const { things, numUnknown } = judgePicture(draw([redSquare, beside]))
    expect(things.map(({ colour, shape }) => `${colour} ${shape}`)).toEqual(['blue square', 'red square'])
    expect(numUnknown).toBe(0)
  })

  test('two objects that have run together are none of the shapes', () => {
    const beside = { ...redSquare, x: 0.61 }
    expect(judgePicture(draw([redSquare, beside, { ...beside, x: 0.8 }]))).toMatchObject({
      things: [],
      numUnknown: 1,
    })
  })

  test('a blot in the colour of a background is unknown', () => {
    const { data, ...size } = draw([redSquare])
    const gray = data.map((value, at) => (value < 230 && at % 4 < 3 ? 128 : value))
    expect(judgePicture({ ...size, data: gray })).toEqual({ background: 'white', things: [], numUnknown: 1 })
  })

  test('specks are not counted', () => {
    expect(judgePicture(draw([{ ...redSquare, extent: 0.03 }]))).toMatchObject({ things: [], numUnknown: 0 })
  })
})

test('a relation goes by the coordinate in which objects are further apart', () => {
  const at = (x: number, y: number): Thing => ({ ...redSquare, x, y })
  expect(relationOf(at(0.2, 0.4), at(0.7, 0.6))).toBe('left')
  expect(relationOf(at(0.7, 0.6), at(0.2, 0.4))).toBe('right')
  expect(relationOf(at(0.4, 0.2), at(0.6, 0.7))).toBe('above')
  expect(relationOf(at(0.6, 0.7), at(0.4, 0.2))).toBe('below')
})
