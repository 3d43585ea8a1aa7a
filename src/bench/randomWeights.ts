// Writes random numbers into weights on the device, in plans whose states are the weights' memory. What a number is depends
// on seed, tensor and place alone, never on how plans stack tensors and cut them into bands.
// Not here: which distribution suits a tensor (synthetic.ts).

import type { StateId, ValueId } from '../core/brand.ts'
import { bytesOf } from '../core/dtype.ts'
import { invariant, throwIfCancelled } from '../core/errors.ts'
import type { Device, DeviceBuffer } from '../device/device.ts'
import type { DeviceTensors, UnwrittenWeight } from '../engine/loadWeights.ts'
import { GraphBuilder } from '../graph/builder.ts'
import { floatDTypes, type FloatDType } from '../graph/opDef.ts'
import { partFields } from '../graph/ops/random.ts'
import { leafRanges } from '../graph/weightExpr.ts'
import { randomKernels } from '../kernels/random.ts'
import { makePlan } from '../plan/plan.ts'
import { StepWriter } from '../plan/stepLayout.ts'
import { tensorBytes } from '../plan/types.ts'

export interface Distribution {
  readonly mean: number
  readonly deviation: number
}

export interface RandomNumbers {
  readonly seed: number
  readonly distributionOf: (tensor: {
    readonly name: string
    readonly shape: readonly number[]
  }) => Distribution
}

/** A weight's memory, seen as a vector. */
interface Target {
  readonly buffer: DeviceBuffer
  readonly label: string
  readonly dtype: FloatDType
  readonly numElements: number
}

/** A run of a weight's elements that comes from one tensor. */
interface Part {
  readonly target: Target
  readonly offset: number
  readonly count: number
  /** Of the tensor's elements. */
  readonly first: number
  readonly tensor: { readonly name: string; readonly shape: readonly number[] }
}

/** Of one submission: some tenths of a second on a CPU adapter. */
const portionBytes = 2 ** 26

const maxima = { T: 1, S: 1, R: 1 }

/** As DeviceTensors.write; integers stay zeros, which are safe indices. */
export async function writeRandom(
  device: Device,
  weights: readonly UnwrittenWeight[],
  numbers: RandomNumbers,
  { signal, onProgress }: Parameters<DeviceTensors['write']>[2],
): Promise<void> {
  const integers = weights.filter(({ weight }) => !floatDTypes.includes(weight.dtype))
  let writtenBytes = integers.reduce((sum, { weight }) => sum + weight.bytes, 0)
  // Read back after each portion: then that is done.
  const fence = await device.alloc(4, 'states', 'fence')
  try {
    for (const parts of portions(weights)) {
      throwIfCancelled(signal, 'random weights')
      await writeParts(device, parts, numbers, fence)
      for (const { target, offset, count } of parts) {
        writtenBytes += tensorBytes(offset + count, target.dtype) - tensorBytes(offset, target.dtype)
      }
      onProgress(writtenBytes)
    }
  } finally {
    fence.destroy()
  }
}

/** Parts of all weights in turn, as many at a time as one submission should write. */
function* portions(weights: readonly UnwrittenWeight[]): Generator<readonly Part[]> {
  let parts: Part[] = []
  let room = portionBytes
  for (const part of weights.flatMap(partsOf)) {
    const size = bytesOf(part.target.dtype)
    for (let done = 0; done < part.count;) {
      const count = Math.min(part.count - done, Math.floor(room / size))
      parts.push({ ...part, offset: part.offset + done, first: part.first + done, count })
      done += count
      room -= count * size
      if (room >= bytesOf('f32')) continue
      yield parts
      parts = []
      room = portionBytes
    }
  }
  if (parts.length > 0) yield parts
}

function partsOf({ weight: { dtype, expr, label }, buffer }: UnwrittenWeight): Part[] {
  if (dtype !== 'f32' && dtype !== 'f16') return []
  const ranges = leafRanges(expr)
  const numElements = ranges.reduce((sum, { count }) => sum + count, 0)
  const target = { buffer, label, dtype, numElements }
  let offset = 0
  return ranges.map(({ leaf: tensor, start: first, count }) => {
    invariant(tensor.kind === 'tensor', `${label} is made of tensors`)
    invariant(first + count <= 2 ** 32, `places in ${tensor.name} are words of a step`)
    offset += count
    return { target, offset: offset - count, count, first, tensor }
  })
}

async function writeParts(
  device: Device,
  parts: readonly Part[],
  { seed, distributionOf }: RandomNumbers,
  fence: DeviceBuffer,
): Promise<void> {
  const b = new GraphBuilder('random weights')
  const states: DeviceBuffer[] = []
  const state = (buffer: DeviceBuffer, ...type: Parameters<GraphBuilder['state']>): ValueId => {
    states.push(buffer)
    return b.state(...type)
  }
  const latest = new Map<DeviceBuffer, ValueId>()
  const values: Record<string, readonly number[]> = {}
  for (const [i, { target, offset, count, first, tensor }] of parts.entries()) {
    const { buffer, label, dtype, numElements } = target
    const numbers = latest.get(buffer) ?? state(buffer, label, dtype, [numElements])
    const part = b.input(`part${i}`, 'u32', [partFields.length])
    const distribution = b.input(`distribution${i}`, 'f32', [2])
    const { mean, deviation } = distributionOf(tensor)
    values[`part${i}`] = [offset, count, first, seed, hash(tensor.name)]
    values[`distribution${i}`] = [mean, deviation]
    latest.set(
      buffer,
      b.apply('randomNormal', label, { part, distribution, numbers }, { dtype, maxCount: count }),
    )
  }
  for (const [index, id] of [...latest.values()].entries()) b.output(`weight${index}`, id)
  b.output('fence', state(fence, 'fence', 'i32', [1]))
  const plan = makePlan(b.finish(), { kernels: randomKernels, capabilities: device.capabilities, maxima })
  const prepared = await device.prepare(plan, {
    weights: new Map(),
    states: new Map(states.map((buffer, id) => [id as StateId, buffer])),
    arena: [],
  })
  try {
    await device.run(prepared, new StepWriter(plan.step, maxima).write(maxima, values), ['fence'])
  } finally {
    prepared.dispose()
  }
}

/** FNV-1a: the stream of a tensor's numbers. */
function hash(text: string): number {
  let value = 0x811c_9dc5
  for (let i = 0; i < text.length; i++) value = Math.imul(value ^ text.charCodeAt(i), 0x0100_0193)
  return value >>> 0
}
