// What a caption asks for against made-up judgements, and shares with their intervals against published ones.

import { describe, expect, test } from 'vitest'
import type { FoundThing, Judgement } from '../../../src/quantize/judge.ts'
import { rateOf, scorePicture, type Score, type Wanted } from '../../../src/quantize/score.ts'

const disc: FoundThing = {
  shape: 'circle',
  colour: 'red',
  size: 'small',
  x: 0.2,
  y: 0.5,
  extent: 0.1,
  fit: 1,
}
const box: FoundThing = {
  shape: 'square',
  colour: 'blue',
  size: 'large',
  x: 0.7,
  y: 0.5,
  extent: 0.2,
  fit: 1,
}
const seen = (...things: FoundThing[]): Judgement => ({ background: 'white', things, numUnknown: 0 })
const wanted: Wanted = {
  things: [
    { shape: 'circle', colour: 'red', size: 'small' },
    { shape: 'square', colour: 'blue', size: undefined },
  ],
  relation: 'left',
  background: 'white',
}
const all: Score = { first: true, both: true, relation: true, sizes: true, background: true, exact: true }

describe('a picture', () => {
  test('that shows what is asked for', () => {
    expect(scorePicture(seen(box, disc), wanted)).toEqual(all)
  })

  test.each<[what: string, judgement: Judgement, wrong: Partial<Score>]>([
    ['without the first object', seen(box), { first: false, both: false, relation: false, sizes: false }],
    ['without the second', seen(disc), { both: false, relation: false, sizes: false }],
    ['in the wrong order', seen({ ...disc, x: 0.9 }, box), { relation: false }],
    ['with the wrong size', seen({ ...disc, size: 'large' }, box), { sizes: false }],
    ['on the wrong background', { ...seen(disc, box), background: 'gray' }, { background: false }],
    ['with one object more', seen(disc, box, disc), {}],
    ['with something unknown', { ...seen(disc, box), numUnknown: 1 }, {}],
  ])('%s', (_what, judgement, wrong) => {
    expect(scorePicture(judgement, wanted)).toEqual({ ...all, exact: false, ...wrong })
  })

  test('of one object is not asked for a pair, and of nothing that its caption leaves open', () => {
    const one: Wanted = { things: [wanted.things[1]!], relation: undefined, background: undefined }
    const open = { both: undefined, relation: undefined, sizes: undefined, background: undefined }
    expect(scorePicture(seen(box), one)).toEqual({ first: true, ...open, exact: true })
    expect(scorePicture(seen(disc), one)).toEqual({ first: false, ...open, exact: false })
  })

  test('needs two objects for two that are asked for', () => {
    const twice: Wanted = { ...wanted, things: [wanted.things[0]!, wanted.things[0]!] }
    expect(scorePicture(seen(disc), twice)).toMatchObject({ first: true, both: false })
    expect(scorePicture(seen(disc, { ...disc, x: 0.8 }), twice)).toEqual(all)
  })
})

describe('a rate', () => {
  // Newcombe (1998), Statistics in Medicine 17, table I, method 3.
  test.each([
    [81, 263, 0.2553, 0.3662],
    [15, 148, 0.0624, 0.1605],
    [0, 20, 0, 0.1611],
    [1, 29, 0.0061, 0.1718],
  ])('of %i in %i has its Wilson interval', (count, of, low, high) => {
    const rate = rateOf(Array.from({ length: of }, (_, at) => at < count))
    expect(rate).toMatchObject({ count, of, rate: count / of })
    expect(rate.low).toBeCloseTo(low, 3)
    expect(rate.high).toBeCloseTo(high, 3)
  })

  test('leaves out what was not asked for', () => {
    expect(rateOf([true, undefined, false, undefined])).toMatchObject({ count: 1, of: 2 })
    expect(rateOf([undefined])).toMatchObject({ of: 0, low: 0, high: 1 })
  })
})
