// The WebGPU device on Dawn's null backend, which runs nothing: memory accounts, and outputs that it cannot read back.

import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openDawnDevice, probeDawnAdapter } from '../../../src/device/dawn/dawn.ts'
import type { Device } from '../../../src/device/device.ts'
import { GraphBuilder } from '../../../src/graph/builder.ts'
import { symbol } from '../../../src/graph/dim.ts'
import { runGraph } from '../../helpers/runGraph.ts'
import { tableOf } from '../../helpers/tableOf.ts'

let device: Device

beforeAll(async () => {
  device = await openDawnDevice({ backend: 'null', half: 'packed' })
})
afterAll(() => device.dispose())

describe('memory', () => {
  test('is counted by owner until it is freed, once', async () => {
    const before = device.memory()
    const buffer = await device.alloc(1024, 'states', 'cache')
    expect(device.memory().states).toBe(before.states + 1024)
    buffer.destroy()
    buffer.destroy()
    expect(device.memory()).toEqual(before)
  })

  test('that no device has is a device/memory fault, after which the device works on', async () => {
    const before = device.memory()
    await expect(device.alloc(2 ** 46, 'weights', 'huge')).rejects.toThrow('[device/memory] weights huge')
    expect(device.memory()).toEqual(before)
    ;(await device.alloc(64, 'weights', 'small')).destroy()
  })
})

test('half: packed gives up native f16 where the adapter has it', async () => {
  expect(device.adapter.features).toContain('shader-f16')
  expect(device.capabilities.nativeF16).toBe(false)
  const native = await openDawnDevice({ backend: 'null' })
  expect(native.capabilities.nativeF16).toBe(true)
  native.dispose()
  await expect(native.lost).resolves.toMatchObject({ reason: 'destroyed' })
})

test('an adapter that does not exist is a device/adapter fault', async () => {
  const options = { backend: 'null', adapter: 'no such adapter' } as const
  expect(await probeDawnAdapter(options)).toBeUndefined()
  // Names alone, not what Dawn prints around them.
  await expect(openDawnDevice(options)).rejects.toThrow(
    /^\[device\/adapter\] no such adapter: expected an adapter of this name, got [^:*]*\. Give part/,
  )
})

describe('outputs', () => {
  /** Runs a step that returns columns [start, start + 2) of four. */
  function readColumns(start: number, length: number): Promise<unknown> {
    const b = new GraphBuilder('view')
    const ids = b.input('ids', 'i32', [symbol('T')])
    const expr = tableOf('t', [3, 4], () => new Float32Array(12))
    const x = b.apply('embedding', 'x', { table: b.weight(expr, 'f32'), ids }, { dtype: 'f32' })
    b.output('y', b.apply('slice', 'view', { x }, { start, length }))
    return runGraph(device, b.finish(), { dims: { T: 2, S: 1, R: 1 }, values: { ids: [0, 1] } })
  }

  test('may be whole rows', async () => {
    await expect(readColumns(0, 4)).resolves.toMatchObject({ y: { shape: [2, 4] } })
  })

  test.each([
    [2, 2],
    [0, 2],
  ])('must not be a view of columns from %i, which lie apart in memory', async (start, length) => {
    await expect(readColumns(start, length)).rejects.toThrow('[internal] output y is not a view')
  })
})
