// What does not fit a half, on a device: it is stored as the largest one, so that no infinity becomes NaN further on. What
// is NaN already stays so, and is found at the end.

import { expect, test } from 'vitest'
import { GraphBuilder } from '../../src/graph/builder.ts'
import { symbol } from '../../src/graph/dim.ts'
import { testDevice } from '../helpers/devices.ts'
import { runGraph } from '../helpers/runGraph.ts'
import { tableOf } from '../helpers/tableOf.ts'

const table = [40_000, -40_000, 30_000, 1, 60_000, -60_000, NaN, 65_504]

test.each(['packed', 'native'] as const)('%s halves saturate', async (half) => {
  const b = new GraphBuilder('saturation')
  const values = tableOf('large', [1, 8], () => Float32Array.from(table))
  const ids = b.input('ids', 'i32', [symbol('T')])
  const x = b.apply('embedding', 'x', { table: b.weight(values, 'f32'), ids }, { dtype: 'f16' })
  b.output('y', b.apply('add', 'y', { a: x, b: x }, { dtype: 'f16' }))
  const dims = { T: 1, S: 1, R: 1 }
  const { y } = await runGraph(await testDevice(half), b.finish(), { dims, values: { ids: [0] } })
  expect([...y!.data]).toEqual([65_504, -65_504, 60_000, 2, 65_504, -65_504, NaN, 65_504])
})
