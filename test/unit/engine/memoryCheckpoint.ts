// Checkpoints in memory for loader tests: tensors of any element type, a log of reads, and one for a whole tiny Llama.

import { bytesOf, f16Bits, type SourceDType } from '../../../src/core/dtype.ts'
import { exprTensors } from '../../../src/graph/weightExpr.ts'
import type { LlmSpec } from '../../../src/models/spec.ts'
import { throwIfCancelled } from '../../../src/core/errors.ts'
import {
  checkElements,
  tensorNamed,
  type Checkpoint,
  type TensorInfo,
} from '../../../src/weights/checkpoint.ts'

export interface MemoryTensor {
  readonly dtype: SourceDType
  readonly shape: readonly number[]
  readonly bytes: Uint8Array
}

export interface LoggedCheckpoint extends Checkpoint {
  /** Elements of each read. */
  readonly reads: { readonly name: string; readonly start: number; readonly count: number }[]
}

export function memoryCheckpoint(tensors: Readonly<Record<string, MemoryTensor>>): LoggedCheckpoint {
  const reads: { name: string; start: number; count: number }[] = []
  const infos = new Map<string, TensorInfo>(
    Object.entries(tensors).map(([name, { dtype, shape, bytes }]) => [
      name,
      { name, dtype, shape, bytes: bytes.byteLength, file: 'memory' },
    ]),
  )
  return {
    name: 'memory',
    tensors: infos,
    totalBytes: [...infos.values()].reduce((sum, { bytes }) => sum + bytes, 0),
    reads,
    async read(name, start, count, signal) {
      throwIfCancelled(signal, name)
      const info = tensorNamed(infos, name, 'memory')
      checkElements(info, start, count)
      reads.push({ name, start, count })
      const size = bytesOf(info.dtype)
      return tensors[name]!.bytes.subarray(start * size, (start + count) * size)
    },
    close: () => Promise.resolve(),
  }
}

export function f32Tensor(shape: readonly number[], values: ArrayLike<number>): MemoryTensor {
  return { dtype: 'f32', shape, bytes: new Uint8Array(Float32Array.from(values).buffer) }
}

export function f16Tensor(shape: readonly number[], values: ArrayLike<number>): MemoryTensor {
  return { dtype: 'f16', shape, bytes: new Uint8Array(Uint16Array.from(values, f16Bits).buffer) }
}

/** Keeps the upper half of each f32, which is exact for the small integers of the tests. */
export function bf16Tensor(shape: readonly number[], values: ArrayLike<number>): MemoryTensor {
  const words = new Uint32Array(Float32Array.from(values).buffer)
  return {
    dtype: 'bf16',
    shape,
    bytes: new Uint8Array(Uint16Array.from(words, (bits) => bits >>> 16).buffer),
  }
}

/** Every tensor that a configuration asks for, all zeros. */
export function checkpointFor(spec: LlmSpec): LoggedCheckpoint {
  const graph = spec.graph({
    dtype: 'f32',
    maxSeqLen: 16,
    blockSize: 16,
    numBlocks: 1,
    maxNumSeqs: 1,
    head: 'logits',
  })
  const tensors: Record<string, MemoryTensor> = {}
  for (const { source } of graph.values) {
    if (source.kind !== 'weight') continue
    for (const { name, shape } of exprTensors(source.expr)) {
      const length = shape.reduce((product, dim) => product * dim, 1)
      tensors[name] = f32Tensor(shape, new Float32Array(length))
    }
  }
  return memoryCheckpoint(tensors)
}
