// Random weights as the device makes them: each number against Philox and Box and Muller in f64, however plans stack and cut
// tensors, amid poison and guard bands; and a model of them against the f64 reference.

import { afterAll, describe, expect, test } from 'vitest'
import { randomTensors } from '../../src/bench/synthetic.ts'
import { writeRandom, type RandomNumbers } from '../../src/bench/randomWeights.ts'
import type { Device } from '../../src/device/device.ts'
import { createReferenceDevice } from '../../src/device/reference/reference.ts'
import { LlmEngine } from '../../src/engine/llm/llmEngine.ts'
import type { DeviceTensors } from '../../src/engine/loadWeights.ts'
import type { FloatDType } from '../../src/graph/opDef.ts'
import { concat, sliceRows, tensor, type WeightExpr } from '../../src/graph/weightExpr.ts'
import { llamaSpec } from '../../src/models/llama/family.ts'
import { expectClose } from '../helpers/close.ts'
import { testDevice } from '../helpers/devices.ts'
import { openGuardedDevice } from '../helpers/guardedDevice.ts'
import { normalOf } from '../helpers/normals.ts'
import { contentsOf, unwrittenWeight, writtenValues } from '../helpers/writtenWeights.ts'
import { tinyConfig } from '../unit/models/tinyLlama.ts'

const seed = 0xdead_beef
const mean = 0.25
const deviation = 0.5
const numbers: RandomNumbers = { seed, distributionOf: () => ({ mean, deviation }) }
const halves = ['packed', 'native'] as const

const tensorsOf = (changes: Partial<RandomNumbers> = {}): Pick<DeviceTensors, 'write'> => ({
  write: (device, weights, options) => writeRandom(device, weights, { ...numbers, ...changes }, options),
})

/** A number and the number that it must be: f32 arithmetic in a few operations, then the rounding of the store. */
function expectNumber(actual: number, z: number, dtype: FloatDType, where: string): void {
  const expected = mean + deviation * z
  const size = Math.abs(mean) + deviation * Math.abs(z)
  // Twice half a step: one of a conversion that need not round to nearest.
  const step = dtype === 'f16' ? Math.max(2 ** -10 * Math.abs(expected), 2 ** -24) : 0
  const error = Math.abs(actual - expected)
  expect(error, `${where}: ${actual} for ${expected}`).toBeLessThanOrEqual(size * 2 ** -21 + step)
}

const a = tensor('a', [3, 5])
const b = tensor('b', [7, 5])
const c = tensor('c', [4, 5])
const merged = concat([a, b, c])

/** By element: its tensor and its place there. */
const placesOf = (name: string, first: number, count: number): (readonly [string, number])[] =>
  Array.from({ length: count }, (_, i) => [name, first + i])

const exprs: readonly { name: string; expr: WeightExpr; places: (readonly [string, number])[] }[] = [
  { name: 'one element', expr: tensor('a', [1]), places: placesOf('a', 0, 1) },
  { name: 'an odd vector', expr: tensor('a', [1031]), places: placesOf('a', 0, 1031) },
  {
    name: 'stacked tensors that meet inside a word',
    expr: merged,
    places: [...placesOf('a', 0, 15), ...placesOf('b', 0, 35), ...placesOf('c', 0, 20)],
  },
  {
    name: 'a band across three tensors',
    expr: sliceRows(merged, 2, 9),
    places: [...placesOf('a', 10, 5), ...placesOf('b', 0, 35), ...placesOf('c', 0, 5)],
  },
  ...[1, 2, 3].map((start) => ({
    name: `a band that begins at element ${start * 5}`,
    expr: sliceRows(b, start, 3),
    places: placesOf('b', start * 5, 15),
  })),
]

describe.each(halves)('%s halves', async (half) => {
  const guarded = await openGuardedDevice(half)
  const { device } = guarded
  afterAll(() => device.dispose())
  const isSkipped = half === 'native' && !device.capabilities.nativeF16

  describe.skipIf(isSkipped).each(['f32', 'f16'] as const)('%s', (dtype) => {
    test.each(exprs)('$name: each number, and nothing beyond', async ({ expr, places }) => {
      const weight = await unwrittenWeight(device, expr, dtype)
      const progress: number[] = []
      await writeRandom(device, [weight], numbers, {
        signal: undefined,
        onProgress: (bytes) => progress.push(bytes),
      })
      const { bytes } = weight.weight
      const values = await contentsOf(device, weight.buffer, dtype, dtype === 'f16' ? bytes / 2 : bytes / 4)
      for (const [i, [name, index]] of places.entries())
        expectNumber(values[i]!, normalOf(seed, name, index), dtype, `${name}[${index}]`)
      // The other half of an odd end stays what it was.
      expect([...values.subarray(places.length)]).toEqual(values.length > places.length ? [NaN] : [])
      expect(await guarded.strayWrites()).toEqual([])
      expect(progress).toEqual([bytes])
      weight.buffer.destroy()
    })

    test('in more workgroups than one dimension has', async () => {
      const { capabilities } = device
      const narrow = { ...device, capabilities: { ...capabilities, maxWorkgroupsPerDimension: 3 } }
      const values = await writtenValues(narrow, tensorsOf(), tensor('a', [4001]), dtype)
      for (const [i, value] of values.entries()) expectNumber(value, normalOf(seed, 'a', i), dtype, `${i}`)
      expect(await guarded.strayWrites()).toEqual([])
    })
  })
})

describe('many numbers', () => {
  // More than a submission writes; an odd number of rows of an odd width.
  const shape = [5001, 7001] as const
  const length = shape[0] * shape[1]

  test('are those of a tensor throughout', async () => {
    const device = await testDevice()
    const weight = await unwrittenWeight(device, tensor('large', shape), 'f16')
    const progress: number[] = []
    const onProgress = (bytes: number): void => void progress.push(bytes)
    await writeRandom(device, [weight], numbers, { signal: undefined, onProgress })
    const values = await contentsOf(device, weight.buffer, 'f16', length)
    weight.buffer.destroy()
    expect(progress).toEqual([2 ** 26, weight.weight.bytes])
    for (let i = 0; i < length; i += 4093)
      expectNumber(values[i]!, normalOf(seed, 'large', i), 'f16', `large[${i}]`)
    for (const middle of [2 ** 25, length - 8]) {
      for (let i = middle - 8; i < middle + 8; i++)
        expectNumber(values[i]!, normalOf(seed, 'large', i), 'f16', `large[${i}]`)
    }
  })

  test('are distributed as asked', async () => {
    const count = 1_000_000
    const values = await writtenValues(await testDevice(), tensorsOf(), tensor('a', [count]), 'f32')
    const moment = (power: number): number =>
      values.reduce((sum, value) => sum + ((value - mean) / deviation) ** power, 0) / count
    // Within four standard errors: of 1, 2, 15 and 96 over the number of values.
    expect(Math.abs(moment(1))).toBeLessThan(4e-3)
    expect(Math.abs(moment(2) - 1)).toBeLessThan(4e-3 * Math.sqrt(2))
    expect(Math.abs(moment(3))).toBeLessThan(4e-3 * Math.sqrt(15))
    expect(Math.abs(moment(4) - 3)).toBeLessThan(4e-3 * Math.sqrt(96))
  })

  test('are the same for the same seed and tensor, and others for others', async () => {
    const device = await testDevice()
    const expr = tensor('a', [1000])
    const values = [...(await writtenValues(device, tensorsOf(), expr, 'f32'))]
    expect([...(await writtenValues(device, tensorsOf(), expr, 'f32'))]).toEqual(values)
    const others = [
      await writtenValues(device, tensorsOf({ seed: seed + 1 }), expr, 'f32'),
      await writtenValues(device, tensorsOf(), tensor('b', [1000]), 'f32'),
    ]
    for (const other of others) expect(values.filter((value, i) => value === other[i])).toEqual([])
    const half = await writtenValues(device, tensorsOf(), expr, 'f16')
    for (const [i, value] of values.entries())
      expect(Math.abs(half[i]! - value)).toBeLessThanOrEqual(Math.max(2 ** -10 * Math.abs(value), 2 ** -24))
  })
})

describe('a synthetic model', () => {
  const spec = llamaSpec({
    ...tinyConfig,
    numLayers: 1,
    vocabSize: 515,
    hiddenSize: 192,
    intermediateSize: 320,
    numHeads: 6,
    numKvHeads: 2,
    headDim: 32,
    tieWordEmbeddings: true,
  })
  const tokens = [1, 100, 7, 33, 514, 0, 64, 5]

  /** In bands: no matrix fits a binding, so that most weights are rows of one or several tensors. */
  test.each([
    { name: 'in f32', dtype: 'f32', limit: 1e-5, maxBindingBytes: undefined },
    { name: 'in f16, in bands', dtype: 'f16', limit: 5e-3, maxBindingBytes: 2 ** 16 },
  ] as const)(
    '$name has the logits of the f64 reference',
    async ({ name, dtype, limit, maxBindingBytes }) => {
      const logitsOn = async (device: Device): Promise<number[]> => {
        const options = { dtype, maxSeqLen: 16, maxNumSeqs: 1, maxNumBatchedTokens: 8, numBlocks: 1 }
        const engine = await LlmEngine.load(device, spec, randomTensors('random', spec, { dtype }), options)
        const rows = await engine.logits(tokens)
        await engine.dispose()
        return rows.flatMap((row) => [...row])
      }
      const device = await testDevice()
      const { capabilities } = device
      const limited = maxBindingBytes === undefined ? capabilities : { ...capabilities, maxBindingBytes }
      const expected = await logitsOn(createReferenceDevice())
      expectClose(await logitsOn({ ...device, capabilities: limited }), expected, limit, name)
      expect(Math.max(...expected)).toBeGreaterThan(0.01)
    },
  )
})
