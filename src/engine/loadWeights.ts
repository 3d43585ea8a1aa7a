// Checkpoint → device: evaluates weight expressions slice by slice while streaming. Holds a few MiB, never a tensor.
// Weights may come from elsewhere than a checkpoint, if they can be written on the device.

import { bytesOf, type DType } from '../core/dtype.ts'
import { RuntimeFault, invariant, throwIfCancelled } from '../core/errors.ts'
import { elementsOf } from '../core/shape.ts'
import type { Device, DeviceBuffer } from '../device/device.ts'
import { exprTensors, type LeafRange, type WeightExpr, type WeightLeaf } from '../graph/weightExpr.ts'
import type { Plan } from '../plan/types.ts'
import type { Checkpoint } from '../weights/checkpoint.ts'
import { decodeF32, encodeF16 } from '../weights/decode.ts'
import { partsInFileOrder, type WeightBuffer } from './loadOrder.ts'

/** Bytes of one upload and, at most, of one read; elements of one conversion. */
const stagingBytes = 4 * 2 ** 20
const sliceElements = 2 ** 20
/** Of a table, whose sines take the thread for some ten milliseconds. */
const tableElements = sliceElements / 4
/** Beyond a read: quantised blocks stand out at its ends. */
const readMargin = 4096

export interface LoadWeightsOptions {
  readonly signal?: AbortSignal | undefined
  /** Called with bytes of device weights written so far. */
  readonly onProgress?: ((loadedBytes: number, totalBytes: number) => void) | undefined
}

type TableLeaf = Extract<WeightLeaf, { kind: 'table' }>

/** A weight of a plan with its zero-filled memory. */
export interface UnwrittenWeight {
  readonly weight: WeightBuffer
  readonly buffer: DeviceBuffer
}

/** Tensors that are made on the device: nothing of them is read or uploaded. */
export interface DeviceTensors extends Pick<Checkpoint, 'name' | 'tensors' | 'wording'> {
  /**
   * Writes weights that are made of these tensors alone. `onProgress` is called with bytes written so far. Throws what the
   * device throws, and engine/cancelled.
   */
  write(
    device: Device,
    weights: readonly UnwrittenWeight[],
    options: {
      readonly signal: AbortSignal | undefined
      readonly onProgress: (writtenBytes: number) => void
    },
  ): Promise<void>
}

/** What weights are loaded from. */
export type WeightSource = Checkpoint | DeviceTensors

/** The distinct weights of several plans. */
export function weightsOf(plans: readonly Plan[]): Map<string, WeightBuffer> {
  const weights = new Map<string, WeightBuffer>()
  for (const plan of plans) {
    for (const buffer of plan.buffers) if (buffer.role === 'weight') weights.set(buffer.key, buffer)
  }
  return weights
}

/** Throws weights/missing or weights/shape unless the source has all that the plans read. */
export function checkWeights(plans: readonly Plan[], source: WeightSource): void {
  checkTensors(
    [...weightsOf(plans).values()].map(({ expr }) => expr),
    source,
  )
}

/** Throws weights/missing or weights/shape unless the source has every tensor that expressions read. */
export function checkTensors(exprs: readonly WeightExpr[], source: WeightSource): void {
  for (const expr of exprs) {
    for (const { name, shape } of exprTensors(expr)) {
      const info = source.tensors.get(name)
      if (info?.shape.join() === shape.join()) continue
      const { wording } = source
      throw new RuntimeFault(info === undefined ? 'weights/missing' : 'weights/shape', {
        where: `${source.name} ${wording?.nameInFile(name) ?? name}`,
        expected: `shape [${shape.join(', ')}]`,
        got: info === undefined ? 'no such tensor' : `[${info.shape.join(', ')}]`,
        fix: wording?.mismatchFix ?? 'Check that config.json belongs to these weights.',
      })
    }
  }
}

/**
 * Allocates and fills every weight, and has files compared with their hashes; on failure nothing stays allocated. Throws
 * what reading throws, among it file/hash.
 */
export async function loadWeights(
  device: Device,
  plans: readonly Plan[],
  source: WeightSource,
  { signal, onProgress }: LoadWeightsOptions = {},
): Promise<Map<string, DeviceBuffer>> {
  checkWeights(plans, source)
  const weights = [...weightsOf(plans).values()]
  const totalBytes = weights.reduce((sum, { bytes }) => sum + bytes, 0)
  const loaded = new Map<string, DeviceBuffer>()
  const staging = new Uint8Array(stagingBytes)
  const evaluator = new Evaluator('write' in source ? undefined : source, signal)
  let loadedBytes = 0
  const onWritten = (bytes: number): void => onProgress?.(loadedBytes + bytes, totalBytes)
  const memoryOf = async ({ key, bytes, label }: WeightBuffer): Promise<DeviceBuffer> => {
    throwIfCancelled(signal, label)
    const buffer = loaded.get(key) ?? (await device.alloc(bytes, 'weights', label))
    loaded.set(key, buffer)
    return buffer
  }
  const isMade = ({ expr }: WeightBuffer): boolean => 'write' in source && exprTensors(expr).length > 0
  try {
    const read = weights.filter((weight) => !isMade(weight))
    for (const { weight, start, ranges } of partsInFileOrder(read, source.tensors)) {
      const { dtype } = weight
      const buffer = await memoryOf(weight)
      const uploader = new Uploader(device, buffer, start * bytesOf(dtype), staging, onWritten)
      for await (const values of evaluator.evaluate(ranges, dtype)) await uploader.append(values)
      loadedBytes += await uploader.finish()
    }
    if ('write' in source) {
      const unwritten: UnwrittenWeight[] = []
      for (const weight of weights.filter(isMade)) unwritten.push({ weight, buffer: await memoryOf(weight) })
      await source.write(device, unwritten, { signal, onProgress: onWritten })
    } else {
      await source.verify?.(signal)
    }
    return loaded
  } catch (error) {
    for (const buffer of loaded.values()) buffer.destroy()
    throw error
  }
}

/** Gathers bytes into word-aligned uploads, from byte `start` of a buffer on. */
class Uploader {
  readonly #device: Device
  readonly #buffer: DeviceBuffer
  readonly #staging: Uint8Array<ArrayBuffer>
  readonly #onWritten: (bytes: number) => void
  readonly #start: number
  #filled = 0
  #offset: number

  constructor(
    device: Device,
    buffer: DeviceBuffer,
    start: number,
    staging: Uint8Array<ArrayBuffer>,
    onWritten: (bytes: number) => void,
  ) {
    this.#device = device
    this.#buffer = buffer
    this.#start = start
    this.#offset = start
    this.#staging = staging
    this.#onWritten = onWritten
  }

  async append(bytes: Uint8Array): Promise<void> {
    for (let begin = 0; begin < bytes.byteLength;) {
      const part = bytes.subarray(begin, begin + this.#staging.byteLength - this.#filled)
      this.#staging.set(part, this.#filled)
      this.#filled += part.byteLength
      begin += part.byteLength
      if (this.#filled === this.#staging.byteLength) await this.#flush()
    }
  }

  /** Sends the rest, padded to a whole word. Gives the bytes that were sent in all. */
  async finish(): Promise<number> {
    const padded = Math.ceil(this.#filled / 4) * 4
    this.#staging.fill(0, this.#filled, padded)
    this.#filled = padded
    if (padded > 0) await this.#flush()
    return this.#offset - this.#start
  }

  async #flush(): Promise<void> {
    await this.#device.upload(this.#buffer, this.#offset, this.#staging.subarray(0, this.#filled))
    this.#offset += this.#filled
    this.#filled = 0
    this.#onWritten(this.#offset - this.#start)
  }
}

/** Computes weight expressions. Its buffers are used again for each slice, so that loading makes no garbage. */
class Evaluator {
  readonly #checkpoint: Checkpoint | undefined
  readonly #signal: AbortSignal | undefined
  readonly #raw = new Uint8Array(stagingBytes + readMargin)
  readonly #decoded = new Float32Array(sliceElements)
  readonly #encoded = new Uint16Array(sliceElements)

  /** Without a checkpoint, for tables alone. */
  constructor(checkpoint: Checkpoint | undefined, signal: AbortSignal | undefined) {
    this.#checkpoint = checkpoint
    this.#signal = signal
  }

  /** Ranges as device bytes of `dtype`, a slice at a time. A slice is valid until the next one is asked for. */
  async *evaluate(ranges: readonly LeafRange[], dtype: DType): AsyncGenerator<Uint8Array> {
    for (const { leaf, start, count } of ranges) {
      if (leaf.kind === 'table') yield* this.#computeTable(leaf, start, count, dtype)
      else yield* this.#readTensor(leaf.name, start, count, dtype)
    }
  }

  async *#readTensor(name: string, start: number, count: number, dtype: DType): AsyncGenerator<Uint8Array> {
    const checkpoint = this.#checkpoint
    const info = checkpoint?.tensors.get(name)
    invariant(checkpoint !== undefined && info !== undefined, `${name} has been checked`)
    const most = Math.min(sliceElements, Math.floor(stagingBytes / bytesOf(info.dtype)))
    for (let done = 0; done < count; done += most) {
      throwIfCancelled(this.#signal, name)
      const length = Math.min(most, count - done)
      const raw = await checkpoint.read(name, start + done, length, this.#signal, this.#raw)
      // The same format on both sides needs no conversion.
      yield info.dtype === dtype ? raw : this.#convert(decodeF32(info.dtype, raw, this.#decoded), dtype, name)
    }
  }

  /** Slices are of whole rows, and so are these elements. */
  async *#computeTable(
    table: TableLeaf,
    start: number,
    count: number,
    dtype: DType,
  ): AsyncGenerator<Uint8Array> {
    const rowElements = elementsOf(table.shape.slice(1))
    const most = Math.floor(tableElements / rowElements)
    invariant(start % rowElements === 0 && most > 0, `rows of ${table.name} can be computed apart`)
    const end = (start + count) / rowElements
    for (let row = start / rowElements; row < end; row += most) {
      throwIfCancelled(this.#signal, table.name)
      yield this.#convert(table.values(row, Math.min(most, end - row)), dtype, table.name)
      // The thread is others' in between, also to cancel the load.
      if (row + most < end) await new Promise((resolve) => setTimeout(resolve))
    }
  }

  #convert(values: Float32Array, dtype: DType, where: string): Uint8Array {
    invariant(dtype === 'f32' || dtype === 'f16', `${where} becomes a floating-point weight`)
    const typed = dtype === 'f32' ? values : encodeF16(values, where, this.#encoded)
    invariant(typed.byteLength === values.length * bytesOf(dtype), `${where} converts element by element`)
    return new Uint8Array(typed.buffer, typed.byteOffset, typed.byteLength)
  }
}
