// The f64 oracle against numbers that were not computed by it: rotations from algorithms written elsewhere, attention
// by hand, and the rules at the edges of tables and slots.

import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import type { StateId } from '../../../src/core/brand.ts'
import type { DeviceBuffer } from '../../../src/device/device.ts'
import { createReferenceDevice } from '../../../src/device/reference/reference.ts'
import { loadWeights } from '../../../src/engine/loadWeights.ts'
import { GraphBuilder } from '../../../src/graph/builder.ts'
import { affine, symbol } from '../../../src/graph/dim.ts'
import type { RopeStyle } from '../../../src/graph/ops/attention.ts'
import { opDef } from '../../../src/graph/ops/index.ts'
import type { RefTensor } from '../../../src/graph/opDef.ts'
import type { WeightExpr } from '../../../src/graph/weightExpr.ts'
import { wgslKernels } from '../../../src/kernels/index.ts'
import { rotaryTable } from '../../../src/models/llama/rope.ts'
import { makePlan } from '../../../src/plan/plan.ts'
import { StepWriter } from '../../../src/plan/stepLayout.ts'
import { relativeL2 } from '../../helpers/close.ts'
import { fixturesDir } from '../../helpers/dirs.ts'
import { noCheckpoint, runGraph } from '../../helpers/runGraph.ts'
import { tableOf } from '../../helpers/tableOf.ts'

const T = symbol('T')
const S = symbol('S')

function table(name: string, shape: readonly number[], values: ArrayLike<number>): WeightExpr {
  return tableOf(name, shape, () => Float32Array.from(values))
}

function refOf(shape: readonly number[], values: readonly number[]): RefTensor {
  return { shape, data: Float64Array.from(values) }
}

const oneToEight = [1, 2, 3, 4, 5, 6, 7, 8]

/** A vector of eight, rotated at a position, through the whole device. */
async function rotate(
  vector: readonly number[],
  position: number,
  style: RopeStyle,
  rotaryDim: number,
): Promise<number[]> {
  const b = new GraphBuilder('rotary')
  const ids = b.input('ids', 'i32', [T])
  const positions = b.input('positions', 'i32', [T])
  const x = b.apply(
    'embedding',
    'x',
    { table: b.weight(table('x', [1, 8], vector), 'f32'), ids },
    { dtype: 'f32' },
  )
  const angles = rotaryTable({ kind: 'default', theta: 10_000 }, rotaryDim, 8)
  const weight = b.weight(table('angles', [8, rotaryDim], angles), 'f32')
  const attrs = { dtype: 'f32', headDim: 8, rotaryDim, style } as const
  b.output('y', b.apply('rotary', 'rotary', { x, positions, table: weight }, attrs))
  const { y } = await runGraph(createReferenceDevice(), b.finish(), {
    dims: { T: 1, S: 1, R: 1 },
    values: { ids: [0], positions: [position] },
  })
  return [...y!.data]
}

describe('rotary', () => {
  test('in halves is that of transformers', async () => {
    const json = JSON.parse(readFileSync(`${fixturesDir}/golden/llama/rotary.json`, 'utf8')) as {
      halfRotation: { vector: number[]; position: number; rotated: number[] }
    }
    const { vector, position, rotated } = json.halfRotation
    expect(relativeL2(await rotate(vector, position, 'half', 8), rotated)).toBeLessThan(1e-15)
  })

  test('in halves is that of the numpy golden', async () => {
    const golden = [-1.6955925, 0.1375517, 2.7886816, 3.975982, -4.8088425, 6.3230593, 7.0868367, 8.011964]
    expect(relativeL2(await rotate(oneToEight, 3, 'half', 8), golden)).toBeLessThan(1e-7)
  })

  test('interleaved turns the first dims only, as in GPT-J', async () => {
    const golden = [-1.2722325, -1.838865, 2.8786681, 4.0881866, 5, 6, 7, 8]
    expect(relativeL2(await rotate(oneToEight, 3, 'interleaved', 4), golden)).toBeLessThan(1e-7)
  })

  test('interleaved is the half rotation of reordered dims', async () => {
    const order = [0, 2, 4, 6, 1, 3, 5, 7]
    const interleaved = await rotate(oneToEight, 5, 'interleaved', 8)
    const half = await rotate(
      order.map((i) => oneToEight[i]!),
      5,
      'half',
      8,
    )
    expect(half).toEqual(order.map((i) => interleaved[i]))
    expect(await rotate(oneToEight, 5, 'half', 8)).not.toEqual(interleaved)
  })

  test('at position 0 changes nothing', async () => {
    expect(await rotate(oneToEight, 0, 'half', 8)).toEqual(oneToEight)
  })
})

describe('attention', () => {
  const kv = { numKvHeads: 1, headDim: 2, blockSize: 2 }

  /** One head of two dims over three cached keys in blocks 2 and 0, everything else NaN. */
  function attend(numQueries: number, query: readonly number[]): number[] {
    const cache = (rows: readonly (readonly number[])[]): RefTensor => {
      const data = new Float64Array(3 * 2 * 2).fill(NaN)
      ;[4, 5, 0].forEach((slot, key) => data.set(rows[key]!, slot * 2))
      return { shape: [3, 1, 2, 2], data }
    }
    const keys = [
      [0, 0],
      [Math.log(2), 0],
      [0, Math.log(3)],
    ]
    const values = [
      [1, 0],
      [0, 1],
      [1, 1],
    ]
    const { y } = opDef('attention').reference(
      { ...kv, dtype: 'f32', numHeads: 1, scale: 1 },
      {
        q: refOf([numQueries, 2], query),
        kCache: cache(keys),
        vCache: cache(values),
        blockTables: refOf([1, 2], [2, 0]),
        cuSeqlensQ: refOf([2], [0, numQueries]),
        contextLens: refOf([1], [3]),
      },
    )
    return [...y!.data]
  }

  test('is the softmax by hand, over the blocks that the table names', () => {
    // Weights 1, 2, 3 over the sum of 6.
    expect(relativeL2(attend(1, [1, 1]), [(1 + 3) / 6, (2 + 3) / 6])).toBeLessThan(1e-15)
  })

  test('is causal, aligned to the end of the context', () => {
    // The first of two queries sees two keys: weights 1, 2 of 3; a third key would change both.
    expect(relativeL2(attend(2, [1, 1, 1, 1]), [1 / 3, 2 / 3, 4 / 6, 5 / 6])).toBeLessThan(1e-15)
  })

  test('reads KV head j / (heads per KV head), in order', () => {
    const cache = refOf([1, 2, 1, 1], [10, 20])
    const { y } = opDef('attention').reference(
      { numKvHeads: 2, headDim: 1, blockSize: 1, dtype: 'f32', numHeads: 4, scale: 1 },
      {
        q: refOf([1, 4], [1, 1, 1, 1]),
        kCache: cache,
        vCache: cache,
        blockTables: refOf([1, 1], [0]),
        cuSeqlensQ: refOf([2], [0, 1]),
        contextLens: refOf([1], [1]),
      },
    )
    expect([...y!.data]).toEqual([10, 10, 20, 20])
  })
})

describe('edges', () => {
  test('kvWrite skips negative slots and lays heads out before tokens', () => {
    const caches = [0, 1].map(() => ({ shape: [2, 2, 2, 1], data: new Float64Array(8).fill(-1) }))
    opDef('kvWrite').reference(
      { numKvHeads: 2, headDim: 1, blockSize: 2 },
      {
        k: refOf([3, 2], [1, 2, 3, 4, 5, 6]),
        v: refOf([3, 2], [7, 8, 9, 10, 11, 12]),
        slots: refOf([3], [3, -1, 0]),
        kCache: caches[0]!,
        vCache: caches[1]!,
      },
    )
    expect([...caches[0]!.data]).toEqual([5, -1, 6, -1, -1, 1, -1, 2])
    expect([...caches[1]!.data]).toEqual([11, -1, 12, -1, -1, 7, -1, 8])
  })

  test('embedding gives zeros for ids outside the table', () => {
    const { y } = opDef('embedding').reference(
      {},
      { table: refOf([2, 1], [5, 6]), ids: refOf([4], [1, -1, 2, 0]) },
    )
    expect([...y!.data]).toEqual([6, 0, 0, 5])
  })

  test('selectTokens takes literals and sampled rows', () => {
    const { ids } = opDef('selectTokens').reference(
      {},
      { source: refOf([3, 2], [0, 40, 1, 2, 0, 2]), sampled: refOf([3], [7, 8, 9]) },
    )
    expect([...ids!.data]).toEqual([40, 9, 2])
  })

  test('rmsNorm divides by the root of the mean square', () => {
    const { y } = opDef('rmsNorm').reference(
      { eps: 0 },
      { x: refOf([1, 2], [3, 4]), weight: refOf([2], [1, 2]) },
    )
    expect(relativeL2([...y!.data], [3 / Math.sqrt(12.5), 8 / Math.sqrt(12.5)])).toBeLessThan(1e-15)
  })

  test('linear applies bias, then activation, then residual', () => {
    const silu = (x: number): number => x / (1 + Math.exp(-x))
    const { y } = opDef('linear').reference(
      { activation: 'silu', dtype: 'f32' },
      {
        x: refOf([1, 2], [1, 2]),
        w: refOf([1, 2], [3, -1]),
        bias: refOf([1], [0.5]),
        residual: refOf([1, 1], [10]),
      },
    )
    expect(relativeL2([...y!.data], [10 + silu(1.5)])).toBeLessThan(1e-15)
  })
})

test('states keep their contents between steps, and other results do not', async () => {
  const b = new GraphBuilder('state')
  const ids = b.input('ids', 'i32', [T])
  const slots = b.input('slots', 'i32', [T])
  b.input('starts', 'i32', [affine(S, 1, 1)])
  const x = b.apply(
    'embedding',
    'x',
    { table: b.weight(table('t', [3, 1], [1, 2, 3]), 'f32'), ids },
    { dtype: 'f32' },
  )
  const [kCache, vCache] = [b.state('k', 'f32', [1, 1, 4, 1]), b.state('v', 'f32', [1, 1, 4, 1])]
  const kv = { numKvHeads: 1, headDim: 1, blockSize: 4 }
  const { kNext, vNext } = b.op('kvWrite', 'write', { k: x, v: x, slots, kCache, vCache }, kv)
  b.output('k', kNext!)
  b.output('v', vNext!)
  const graph = b.finish()
  const device = createReferenceDevice()
  const maxima = { T: 2, S: 1, R: 1 }
  const plan = makePlan(graph, { kernels: wgslKernels, capabilities: device.capabilities, maxima })
  const weights = await loadWeights(device, [plan], noCheckpoint)
  const states = new Map<StateId, DeviceBuffer>()
  for (const { id, name } of graph.states) states.set(id, await device.alloc(16, 'states', name))
  const prepared = await device.prepare(plan, { weights, states, arena: [] })
  const writer = new StepWriter(plan.step, maxima)
  const run = async (values: { ids: number[]; slots: number[] }): Promise<number[]> => {
    const step = writer.write({ T: values.ids.length, S: 1, R: 1 }, { ...values, starts: [0, 1] })
    const { k } = await device.run(prepared, step, ['k'])
    return [...k!.data]
  }
  expect(await run({ ids: [0, 1], slots: [0, 2] })).toEqual([1, 0, 2, 0])
  expect(await run({ ids: [2], slots: [3] })).toEqual([1, 0, 2, 3])
  expect(await run({ ids: [2], slots: [-1] })).toEqual([1, 0, 2, 3])
  // Submitted together, with inputs that are written to the same place: one after the other, each with its own.
  const together = [
    run({ ids: [0], slots: [1] }),
    run({ ids: [2], slots: [2] }),
    run({ ids: [0], slots: [3] }),
  ]
  expect(await Promise.all(together)).toEqual([
    [1, 1, 2, 3],
    [1, 1, 3, 3],
    [1, 1, 3, 1],
  ])
})

test('timers and signals come in between steps, and in long ones between ops', async () => {
  const b = new GraphBuilder('long')
  const ids = b.input('ids', 'i32', [T])
  const size = 256
  const weight = table(
    'w',
    [size, size],
    Array.from({ length: size * size }, () => 0),
  )
  let x = b.apply('embedding', 'x', { table: b.weight(weight, 'f32'), ids }, { dtype: 'f32' })
  for (let index = 0; index < 20; index++)
    x = b.apply(
      'linear',
      `y${index}`,
      { x, w: b.weight(weight, 'f32') },
      { dtype: 'f32', activation: 'none' },
    )
  b.output('y', x)
  const maxima = { T: 64, S: 1, R: 1 }
  let numTimers = 0
  const timer = setInterval(() => numTimers++)
  const values = { ids: new Int32Array(64) }
  await runGraph(createReferenceDevice(), b.finish(), { dims: maxima, values })
  clearInterval(timer)
  expect(numTimers).toBeGreaterThan(3)
})
