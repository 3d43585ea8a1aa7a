// Which name was meant: slips of the hand are near, other words are not.

import { expect, test } from 'vitest'
import { nearestName } from '../../../src/core/nearest.ts'

test.each([
  ['tiny-lama', 'tiny-llama'],
  ['Tiny_LLaMA', 'tiny-llama'],
  ['tiny-sdlx', 'tiny-sdxl'],
  ['sotp', 'stop'],
  ['pots', undefined],
  ['other', undefined],
  ['', undefined],
])('%j means %j', (name, meant) => {
  expect(nearestName(name, ['tiny-llama', 'tiny-sdxl', 'stop'])).toBe(meant)
})

test.each([
  ['abcdef', 'abdcef'],
  ['abc', 'acb'],
])('neighbours that changed places in %s are one change: %s comes before two', (name, swapped) => {
  const twoOff = `${name.slice(0, -2)}xy`
  expect(nearestName(name, [twoOff, swapped])).toBe(swapped)
})
