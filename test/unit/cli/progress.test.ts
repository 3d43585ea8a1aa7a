// The bar of a load: what it counts, and that it fits terminals of any width.

import { PassThrough } from 'node:stream'
import { expect, test } from 'vitest'
import type { LoadProgress } from '../../../src/api/types.ts'
import { loadBar } from '../../../src/cli/progress.ts'

/** What a bar shows first on a terminal of so many columns. */
function drawn(progress: LoadProgress, columns = 100): string {
  const stream = Object.assign(new PassThrough(), { isTTY: true, columns })
  const bar = loadBar(stream)
  bar.update(progress)
  const text = String(stream.read())
  bar.stop()
  // eslint-disable-next-line no-control-regex
  return text.replaceAll(/\u001b(7|\[[\d?]*[a-zA-Z])/g, '').trim()
}

const compile: LoadProgress = { phase: 'compile', done: 12, total: 24 }
const upload: LoadProgress = { phase: 'upload', loadedBytes: 512 * 2 ** 20, totalBytes: 1000 * 2 ** 20 }

test('says what it counts', () => {
  expect(drawn(compile)).toMatch(/^compiling shaders █{12}░{12} 12 of 24$/)
  expect(drawn({ phase: 'warm-up', done: 1, total: 3 })).toMatch(/^warming up +█{8}░{16} 1 of 3 steps$/)
  expect(drawn(upload)).toMatch(/^loading weights +█{12}░{12} 512 MiB of 1000 MiB$/)
})

test.each([20, 30, 40, 50, 60, 70])('fits %i columns', (columns) => {
  for (const progress of [compile, upload]) {
    const text = drawn(progress, columns)
    expect(text.length).toBeLessThan(columns)
    expect(text.includes('█')).toBe(columns >= 50 || (columns === 40 && progress === compile))
  }
})
