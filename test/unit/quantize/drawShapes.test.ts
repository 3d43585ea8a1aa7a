// Drawn pictures against those of the training's Python (test/fixtures/shapes.json, written by sdxl_shapes.py): same
// captions, same pixels. That they look like what they say is seen by the judge's tests.

import { createHash } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { drawShapes } from '../../../src/quantize/drawShapes.ts'
import { exampleOf, isHeldOut } from '../../../src/quantize/scene.ts'
import fixture from '../../fixtures/shapes.json'

function rgbDigest(data: Iterable<number>): string {
  return createHash('sha256')
    .update(Uint8Array.from([...data].filter((_, at) => at % 4 !== 3)))
    .digest('hex')
}

describe('a scene by its number', () => {
  test.each(fixture.scenes)('$index: $caption', ({ index, side, caption, named, heldOut, sha256 }) => {
    const { scene, text, namesSize, namesBackground } = exampleOf(fixture.seed, index)
    expect(text).toBe(caption)
    expect({ sizes: namesSize, background: namesBackground }).toEqual(named)
    expect(isHeldOut(scene)).toBe(heldOut)
    expect(rgbDigest(drawShapes(scene, side).data)).toBe(sha256)
  })
})

test('a sixteenth of the pairs is held out, and both ways of telling one agree', () => {
  const pairs = Array.from({ length: 4000 }, (_, index) => exampleOf(2, index).scene).filter(
    ({ relation }) => relation !== undefined,
  )
  expect(pairs.filter(isHeldOut).length / pairs.length).toBeCloseTo(1 / 16, 1.5)
  const opposite = { left: 'right', right: 'left', above: 'below', below: 'above' } as const
  for (const scene of pairs) {
    const retold = { ...scene, relation: opposite[scene.relation!], things: scene.things.toReversed() }
    expect(isHeldOut(retold)).toBe(isHeldOut(scene))
  }
})
