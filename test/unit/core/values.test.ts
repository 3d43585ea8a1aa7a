// What errors show of values: enough to recognise them, never all of something large.

import { expect, test } from 'vitest'
import { shown } from '../../../src/core/values.ts'

test.each<[unknown, string]>([
  [{ type: 'json_object' }, '{"type":"json_object"}'],
  [{}, '{}'],
  [[{}], '[{}]'],
  [[{ type: 'function' }, [], [1], 'a', null], '[{…}, [], […], "a", null]'],
  [{ a: { b: 1 }, c: undefined }, '{"a":{…}, "c":nothing}'],
  [new AbortController(), 'an object'],
  [Object.create(null), '{}'],
  [Array.from({ length: 9 }, (_, index) => index), '[0, 1, 2, 3, 4, 5, 6, 7, …]'],
  [Object.assign([], { 1: 1 }), '[nothing, 1]'],
])('%o is shown as %s', (value, text) => {
  expect(shown(value)).toBe(text)
})
