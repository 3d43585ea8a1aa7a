// Checkpoint → device bytes: conversions, stacked and sliced expressions, padding, slices of bounded size, and that a
// load which fails or is cancelled leaves nothing behind.

import { describe, expect, test } from 'vitest'
import { f16Bits, type DType } from '../../../src/core/dtype.ts'
import type { Device, DeviceBuffer } from '../../../src/device/device.ts'
import { createRecordingDevice, type RecordingDevice } from '../../../src/device/recording/recording.ts'
import { checkWeights, loadWeights, weightsOf } from '../../../src/engine/loadWeights.ts'
import { concat, exprShape, sliceRows, tensor, type WeightExpr } from '../../../src/graph/weightExpr.ts'
import type { BufferId } from '../../../src/core/brand.ts'
import { tensorBytes, type Plan, type PlanBuffer } from '../../../src/plan/types.ts'
import { minimalCapabilities } from '../models/tinyLlama.ts'
import {
  bf16Tensor,
  f16Tensor,
  f32Tensor,
  memoryCheckpoint,
  type LoggedCheckpoint,
  type MemoryTensor,
} from './memoryCheckpoint.ts'
import { tableOf } from '../../helpers/tableOf.ts'

interface Wanted {
  readonly expr: WeightExpr
  readonly dtype: DType
}

/** A plan of weights only; the loader reads nothing else of it. */
function planOf(...wanted: readonly Wanted[]): Plan {
  const buffers = wanted.map(({ expr, dtype }, index): PlanBuffer => {
    const elements = exprShape(expr).reduce((product, dim) => product * dim, 1)
    return {
      id: index as BufferId,
      role: 'weight',
      label: `weight${index}`,
      bytes: tensorBytes(elements, dtype),
      key: `key${index}`,
      expr,
      dtype,
    }
  })
  return {
    graph: { name: 'weights', values: [], states: [], ops: [], inputs: [], outputs: {} },
    maxima: { T: 1, S: 1, R: 1 },
    buffers,
    dispatches: [],
    step: { fields: [], words: 0 },
    outputs: {},
  }
}

interface KeepingDevice extends Device {
  readonly recording: RecordingDevice
  readonly contents: ReadonlyMap<string, Uint8Array<ArrayBuffer>>
  readonly uploads: readonly { readonly label: string; readonly offset: number; readonly bytes: number }[]
}

/** A recording device that also keeps what is uploaded, over memory full of ones so that gaps show. */
function keepingDevice(): KeepingDevice {
  const recording = createRecordingDevice(minimalCapabilities)
  const contents = new Map<string, Uint8Array<ArrayBuffer>>()
  const uploads: { label: string; offset: number; bytes: number }[] = []
  return {
    ...recording,
    recording,
    contents,
    uploads,
    async alloc(bytes, owner, label): Promise<DeviceBuffer> {
      contents.set(label, new Uint8Array(bytes).fill(0xff))
      return recording.alloc(bytes, owner, label)
    },
    async upload(buffer, offset, data) {
      contents.get(buffer.label)!.set(data, offset)
      uploads.push({ label: buffer.label, offset, bytes: data.byteLength })
    },
  }
}

const f32 = (bytes: Uint8Array<ArrayBuffer> | undefined): number[] => [...new Float32Array(bytes!.buffer)]
const f16 = (bytes: Uint8Array<ArrayBuffer> | undefined): number[] => [...new Uint16Array(bytes!.buffer)]
const range = (length: number, start = 0): number[] => Array.from({ length }, (_, i) => start + i)

/** The device bytes of one weight. */
async function evaluated(
  expr: WeightExpr,
  dtype: DType,
  tensors: Record<string, MemoryTensor>,
): Promise<Uint8Array<ArrayBuffer>> {
  const device = keepingDevice()
  await loadWeights(device, [planOf({ expr, dtype })], memoryCheckpoint(tensors))
  return device.contents.get('weight0')!
}

describe('conversion', () => {
  const values = [0, 1, -2.5, 1 / 3, 65504, 6e-8]

  test('f32 to f16 rounds to nearest even', async () => {
    const bytes = await evaluated(tensor('a', [6]), 'f16', { a: f32Tensor([6], values) })
    expect(f16(bytes)).toEqual([0, 0x3c00, 0xc100, 0x3555, 0x7bff, 1])
  })

  test('bf16 to f32 is exact', async () => {
    const bytes = await evaluated(tensor('a', [2, 2]), 'f32', { a: bf16Tensor([2, 2], [1, -2.5, 96, 0.5]) })
    expect(f32(bytes)).toEqual([1, -2.5, 96, 0.5])
  })

  test('bf16 to f16 and f16 to f32 keep what both hold', async () => {
    const a = [1, -2.5, 96, 0.5]
    expect(f16(await evaluated(tensor('a', [4]), 'f16', { a: bf16Tensor([4], a) }))).toEqual(a.map(f16Bits))
    expect(f32(await evaluated(tensor('a', [4]), 'f32', { a: f16Tensor([4], a) }))).toEqual(a)
  })

  test('of equal types copies the bytes', async () => {
    expect(f32(await evaluated(tensor('a', [6]), 'f32', { a: f32Tensor([6], values) }))).toEqual(
      values.map(Math.fround),
    )
    const halves = f16Tensor([4], [1, 2, 3, 4])
    expect(await evaluated(tensor('a', [4]), 'f16', { a: halves })).toEqual(halves.bytes)
  })

  test('of an odd number of halves pads the last word with zeros', async () => {
    const bytes = await evaluated(tensor('a', [3]), 'f16', { a: f32Tensor([3], [1, 2, 3]) })
    expect(f16(bytes)).toEqual([...[1, 2, 3].map(f16Bits), 0])
  })

  test('of values that f16 cannot hold faults and names the tensor', async () => {
    const overflow = { a: f32Tensor([2], [1, 65520]) }
    await expect(evaluated(tensor('a', [2]), 'f16', overflow)).rejects.toMatchObject({
      code: 'weights/range',
      where: 'a[1]',
    })
    expect(f32(await evaluated(tensor('a', [2]), 'f32', overflow))).toEqual([1, 65520])
  })

  test('of integers faults', async () => {
    const ints: MemoryTensor = { dtype: 'i32', shape: [1], bytes: new Uint8Array(4) }
    await expect(evaluated(tensor('a', [1]), 'f32', { a: ints })).rejects.toMatchObject({
      code: 'weights/dtype',
    })
  })
})

describe('an expression', () => {
  const tensors = {
    a: f32Tensor([2, 3], range(6)),
    b: f32Tensor([1, 3], range(3, 10)),
    c: bf16Tensor([3, 3], range(9, 20)),
  }
  const [a, b, c] = [tensor('a', [2, 3]), tensor('b', [1, 3]), tensor('c', [3, 3])]

  test.each<[string, WeightExpr, number[]]>([
    ['concat stacks its parts in order', concat([b, a, c]), [...range(3, 10), ...range(6), ...range(9, 20)]],
    ['slice takes whole rows', sliceRows(c, 1, 2), range(6, 23)],
    [
      'slice of a concat may cross its parts',
      sliceRows(concat([a, b, c]), 1, 3),
      [3, 4, 5, 10, 11, 12, 20, 21, 22],
    ],
    ['slice of a concat may skip a part', sliceRows(concat([a, b, c]), 3, 2), range(6, 20)],
    ['concat of slices stacks them', concat([sliceRows(c, 2, 1), sliceRows(a, 0, 1)]), [26, 27, 28, 0, 1, 2]],
    ['slice of a slice adds the starts', sliceRows(sliceRows(c, 1, 2), 1, 1), [26, 27, 28]],
  ])('%s', async (_name, expr, expected) => {
    expect(f32(await evaluated(expr, 'f32', tensors))).toEqual(expected)
    const halves = f16(await evaluated(expr, 'f16', tensors)).slice(0, expected.length)
    expect(halves).toEqual(expected.map(f16Bits))
  })

  test('of a table is computed on the host, sliced like any other', async () => {
    const table = tableOf('t', [3, 2], () => Float32Array.from(range(6)))
    expect(f32(await evaluated(table, 'f32', {}))).toEqual(range(6))
    expect(f32(await evaluated(concat([sliceRows(table, 2, 1), table]), 'f32', {}))).toEqual([
      4,
      5,
      ...range(6),
    ])
  })

  test('of halves that end inside a word is stacked without gaps', async () => {
    const odd = { x: f16Tensor([1, 3], [1, 2, 3]), y: f16Tensor([1, 3], [4, 5, 6]) }
    const bytes = await evaluated(concat([tensor('x', [1, 3]), tensor('y', [1, 3])]), 'f16', odd)
    expect(f16(bytes)).toEqual([1, 2, 3, 4, 5, 6].map(f16Bits))
  })

  test('that several plans share is loaded once', async () => {
    const device = keepingDevice()
    const checkpoint = memoryCheckpoint(tensors)
    const plan = planOf({ expr: a, dtype: 'f32' })
    const loaded = await loadWeights(device, [plan, plan], checkpoint)
    expect([...loaded.keys()]).toEqual(['key0'])
    expect(checkpoint.reads).toHaveLength(1)
    expect(weightsOf([plan, plan]).size).toBe(1)
  })
})

const mib = 2 ** 20

describe('a large table', () => {
  const rows = 6000
  const width = 128

  test('is computed a MiB at a time, each row once', async () => {
    const asked: [number, number][] = []
    const table: WeightExpr = {
      kind: 'table',
      name: 't',
      shape: [rows, width],
      values(firstRow, numRows) {
        asked.push([firstRow, numRows])
        return Float32Array.from({ length: numRows * width }, (_, i) => firstRow * width + i)
      },
    }
    expect(f32(await evaluated(table, 'f32', {}))).toEqual(range(rows * width))
    expect(asked.length).toBeGreaterThan(2)
    expect(Math.max(...asked.map(([, numRows]) => numRows * width * 4))).toBeLessThanOrEqual(mib)
    expect(asked.flatMap(([first, numRows]) => range(numRows, first))).toEqual(range(rows))
  })

  test('leaves time to cancel the load', async () => {
    const abort = new AbortController()
    let numCalls = 0
    const table: WeightExpr = {
      kind: 'table',
      name: 't',
      shape: [rows, width],
      values(_, numRows) {
        if (numCalls++ === 0) setTimeout(() => abort.abort())
        return new Float32Array(numRows * width)
      },
    }
    const loading = loadWeights(
      keepingDevice(),
      [planOf({ expr: table, dtype: 'f32' })],
      memoryCheckpoint({}),
      {
        signal: abort.signal,
      },
    )
    await expect(loading).rejects.toThrow('[engine/cancelled] t')
    expect(numCalls).toBe(1)
  })
})

/** 2.5 Mi elements and a bit, so that neither slices nor uploads come out even. */
const large = 2.5 * mib + 3

function largeCheckpoint(): LoggedCheckpoint {
  const values = new Float32Array(large)
  for (let i = 0; i < large; i++) values[i] = i % 1021
  return memoryCheckpoint({ a: f32Tensor([large], values) })
}

describe('a large tensor', () => {
  test('goes up in whole words, in order, in pieces of at most 4 MiB', async () => {
    const device = keepingDevice()
    await loadWeights(device, [planOf({ expr: tensor('a', [large]), dtype: 'f16' })], largeCheckpoint())
    let end = 0
    for (const { offset, bytes } of device.uploads) {
      expect(offset).toBe(end)
      expect(bytes % 4).toBe(0)
      expect(bytes).toBeLessThanOrEqual(4 * mib)
      end += bytes
    }
    expect(end).toBe(tensorBytes(large, 'f16'))
    const halves = f16(device.contents.get('weight0'))
    const wrong = halves.findIndex((bits, i) => bits !== (i < large ? f16Bits(i % 1021) : 0))
    expect(wrong).toBe(-1)
  })

  test('is read in slices of at most a Mi elements, each once', async () => {
    const checkpoint = largeCheckpoint()
    await loadWeights(keepingDevice(), [planOf({ expr: tensor('a', [large]), dtype: 'f32' })], checkpoint)
    expect(checkpoint.reads).toEqual([
      { name: 'a', start: 0, count: mib },
      { name: 'a', start: mib, count: mib },
      { name: 'a', start: 2 * mib, count: mib / 2 + 3 },
    ])
  })

  test('is read no further than its slice', async () => {
    const checkpoint = memoryCheckpoint({ a: f32Tensor([4, 5], range(20)) })
    const plan = planOf({ expr: sliceRows(tensor('a', [4, 5]), 1, 2), dtype: 'f32' })
    await loadWeights(keepingDevice(), [plan], checkpoint)
    expect(checkpoint.reads).toEqual([{ name: 'a', start: 5, count: 10 }])
  })

  test('reports progress that never falls and ends at the sum', async () => {
    const plan = planOf(
      { expr: tensor('a', [large]), dtype: 'f32' },
      { expr: tensor('a', [large]), dtype: 'f16' },
    )
    const total = tensorBytes(large, 'f32') + tensorBytes(large, 'f16')
    const seen: number[] = []
    await loadWeights(keepingDevice(), [plan], largeCheckpoint(), {
      onProgress(loadedBytes, totalBytes) {
        seen.push(loadedBytes)
        expect(totalBytes).toBe(total)
      },
    })
    expect(seen).toEqual(seen.toSorted((x, y) => x - y))
    expect(seen.length).toBeGreaterThan(4)
    expect(seen.at(-1)).toBe(total)
  })
})

describe('a checkpoint', () => {
  const checkpoint = (): LoggedCheckpoint =>
    memoryCheckpoint({
      a: f16Tensor([2, 3], range(6)),
      b: f16Tensor([3, 3], range(9, 10)),
      c: f16Tensor([4, 3], range(12, 20)),
    })
  const [a, b, c] = [tensor('a', [2, 3]), tensor('b', [3, 3]), tensor('c', [4, 3])]

  test('is read in the order of its bytes, whatever the order of the weights', async () => {
    const device = keepingDevice()
    const log = checkpoint()
    const table = tableOf('t', [2, 2], () => Float32Array.from(range(4)))
    const plan = planOf(
      { expr: concat([sliceRows(c, 2, 2), b]), dtype: 'f16' },
      { expr: sliceRows(c, 0, 2), dtype: 'f16' },
      { expr: concat([a, b]), dtype: 'f32' },
      { expr: table, dtype: 'f32' },
    )
    const seen: number[] = []
    await loadWeights(device, [plan], log, { onProgress: (bytes) => void seen.push(bytes) })
    expect(log.reads.map(({ name, start }) => [name, start])).toEqual([
      ['a', 0],
      ['b', 0],
      ['b', 0],
      ['c', 0],
      ['c', 6],
    ])
    const halves = (label: string): number[] => f16(device.contents.get(label))
    expect(halves('weight0')).toEqual([...range(6, 26), ...range(9, 10), 0].map(f16Bits))
    expect(halves('weight1')).toEqual(range(6, 20).map(f16Bits))
    expect(f32(device.contents.get('weight2'))).toEqual([...range(6), ...range(9, 10)])
    expect(device.uploads.every(({ offset, bytes }) => offset % 4 === 0 && bytes % 4 === 0)).toBe(true)
    expect(seen.at(-1)).toBe(32 + 12 + 60 + 16)
  })

  test('reads parts together that do not begin at a word', async () => {
    const device = keepingDevice()
    const log = checkpoint()
    await loadWeights(device, [planOf({ expr: concat([b, a, c]), dtype: 'f16' })], log)
    expect(log.reads.map(({ name }) => name)).toEqual(['b', 'a', 'c'])
    const expected = [...range(9, 10), ...range(6), ...range(12, 20), 0]
    expect(f16(device.contents.get('weight0')).slice(0, 27)).toEqual(expected.slice(0, 27).map(f16Bits))
  })

  test('whose hash is wrong in the end frees everything', async () => {
    const device = keepingDevice()
    const error = new Error('another hash')
    const wrong = { ...checkpoint(), verify: () => Promise.reject(error) }
    await expect(loadWeights(device, [planOf({ expr: a, dtype: 'f16' })], wrong)).rejects.toBe(error)
    expect(device.uploads).toHaveLength(1)
    expect(device.recording.memory().weights).toBe(0)
  })
})

describe('a checkpoint that does not fit', () => {
  const tensors = { a: f32Tensor([2, 3], range(6)), b: f32Tensor([3], range(3)) }
  const good = { expr: tensor('a', [2, 3]), dtype: 'f32' } as const

  test.each<[string, WeightExpr, string]>([
    ['a missing tensor', tensor('c', [3]), 'weights/missing'],
    ['another shape of the same size', tensor('b', [3, 1]), 'weights/shape'],
    ['a transposed tensor', tensor('a', [3, 2]), 'weights/shape'],
    ['a missing part of a concat', concat([tensor('b', [3]), tensor('c', [3])]), 'weights/missing'],
  ])('(%s) faults before anything is allocated or read', async (_name, expr, code) => {
    const device = keepingDevice()
    const checkpoint = memoryCheckpoint(tensors)
    const plan = planOf(good, { expr, dtype: 'f32' })
    await expect(loadWeights(device, [plan], checkpoint)).rejects.toMatchObject({ code })
    expect(() => checkWeights([plan], checkpoint)).toThrow(code)
    expect(device.recording.calls).toEqual([])
    expect(checkpoint.reads).toEqual([])
  })

  test('is told from one that does', async () => {
    const device = keepingDevice()
    const plan = planOf(good, { expr: tensor('b', [3]), dtype: 'f32' })
    await loadWeights(device, [plan], memoryCheckpoint(tensors))
    expect(device.recording.memory().weights).toBe(36)
  })
})

describe('a load that stops half-way', () => {
  const plan = planOf(
    { expr: tensor('small', [4]), dtype: 'f16' },
    { expr: tensor('a', [large]), dtype: 'f16' },
  )
  const checkpointWith = (values: Float32Array): LoggedCheckpoint =>
    memoryCheckpoint({ small: f32Tensor([4], range(4)), a: f32Tensor([large], values) })

  test('by its signal rejects with an AbortError and frees everything', async () => {
    const device = keepingDevice()
    const abort = new AbortController()
    const checkpoint = checkpointWith(new Float32Array(large))
    const read = checkpoint.read.bind(checkpoint)
    const cancelling = {
      ...checkpoint,
      read: (name: string, start: number, count: number, signal?: AbortSignal) => {
        if (start > 0) abort.abort()
        return read(name, start, count, signal)
      },
    }
    const loading = loadWeights(device, [plan], cancelling, { signal: abort.signal })
    await expect(loading).rejects.toMatchObject({ name: 'AbortError', code: 'engine/cancelled' })
    expect(device.recording.calls.map(({ kind }) => kind)).toEqual(['alloc', 'alloc'])
    expect(device.recording.memory().weights).toBe(0)
  })

  test('before it begins allocates nothing', async () => {
    const device = keepingDevice()
    const loading = loadWeights(device, [plan], checkpointWith(new Float32Array(large)), {
      signal: AbortSignal.abort(),
    })
    await expect(loading).rejects.toMatchObject({ name: 'AbortError' })
    expect(device.recording.calls).toEqual([])
  })

  test('at a value that f16 cannot hold frees everything', async () => {
    const device = keepingDevice()
    const values = new Float32Array(large)
    values[large - 1] = 70_000
    await expect(loadWeights(device, [plan], checkpointWith(values))).rejects.toMatchObject({
      code: 'weights/range',
    })
    expect(device.uploads.length).toBeGreaterThan(1)
    expect(device.recording.memory().weights).toBe(0)
  })

  test('at a device without memory frees everything', async () => {
    const device = keepingDevice()
    const error = new Error('no memory')
    const poor: Device = {
      ...device,
      alloc: (bytes, owner, label) =>
        bytes > mib ? Promise.reject(error) : device.alloc(bytes, owner, label),
    }
    await expect(loadWeights(poor, [plan], checkpointWith(new Float32Array(large)))).rejects.toBe(error)
    expect(device.recording.calls).toHaveLength(1)
    expect(device.recording.memory().weights).toBe(0)
  })

  test('not at all keeps everything', async () => {
    const device = keepingDevice()
    await loadWeights(device, [plan], checkpointWith(new Float32Array(large)))
    expect(device.recording.memory().weights).toBe(8 + tensorBytes(large, 'f16'))
  })
})
