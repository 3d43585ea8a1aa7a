// What a set of weights looks like to the rest of the runtime: named tensors that are read a slice at a time.
// Not here: any file format (safetensors.ts, sharded.ts) and conversion to numbers (decode.ts).
import { bytesOf, type SourceDType } from '../core/dtype.ts'
import { RuntimeFault } from '../core/errors.ts'
import type { ByteSource } from '../core/files.ts'

export interface TensorInfo {
  readonly name: string
  readonly dtype: SourceDType
  /** Row-major; `[]` is a scalar. */
  readonly shape: readonly number[]
  /** Product of the shape times the bytes of one element. */
  readonly bytes: number
  /** What the file holds, where reading expands it. */
  readonly stored?: StoredForm | undefined
  /** Name of the file that holds it. */
  readonly file: string
}

export interface StoredForm {
  /** Such as Q4_K. */
  readonly type: string
  readonly bytes: number
}

/** The type and bytes of a tensor in its file. */
export function storedForm({ stored, dtype, bytes }: TensorInfo): StoredForm {
  return stored ?? { type: dtype, bytes }
}

/** How errors speak of a checkpoint. */
export interface CheckpointWording {
  /** What the file calls a tensor, or would call it. */
  readonly nameInFile: (name: string) => string
  /** What to do where tensors are not those of the configuration. */
  readonly mismatchFix: string
}

export interface Checkpoint {
  readonly name: string
  /** In the order of their bytes, file by file. */
  readonly tensors: ReadonlyMap<string, TensorInfo>
  /** For errors; by default tensors have one name each, and beside them lies a config.json. */
  readonly wording?: CheckpointWording | undefined
  /** Of all tensors, in their files. */
  readonly totalBytes: number
  /**
   * Raw little-endian bytes of elements [start, start + count) of a tensor in row-major order. They may lie in `into`
   * where that has room for them.
   * Throws `weights/missing` for an unknown name, `weights/shape` for elements outside the tensor, `file/io`.
   */
  read(
    name: string,
    start: number,
    count: number,
    signal?: AbortSignal,
    into?: Uint8Array<ArrayBuffer>,
  ): Promise<Uint8Array>
  /** Compares files with their hashes, as `ByteSource` does. */
  verify?(signal?: AbortSignal): Promise<void>
  /** Closes the files. */
  close(): Promise<void>
}

/** Throws `weights/shape` unless elements [start, start + count) lie inside the tensor. */
export function checkElements(info: TensorInfo, start: number, count: number): void {
  const numElements = info.bytes / bytesOf(info.dtype)
  // `start <= numElements - count` rather than a sum, which could round.
  if (isCount(start) && isCount(count) && count <= numElements && start <= numElements - count) return
  throw new RuntimeFault('weights/shape', {
    where: info.name,
    expected: `elements inside [0, ${numElements})`,
    got: `${count} elements from ${start}`,
    fix: 'Ask for a range inside the tensor.',
  })
}

/** The tensor's description, or a `weights/missing` fault. */
export function tensorNamed<T extends TensorInfo>(
  tensors: ReadonlyMap<string, T>,
  name: string,
  checkpoint: string,
): T {
  const info = tensors.get(name)
  if (info !== undefined) return info
  throw new RuntimeFault('weights/missing', {
    where: checkpoint,
    expected: `a tensor named ${name}`,
    got: `${tensors.size} tensors without it`,
    fix: 'Check that the checkpoint belongs to this model.',
  })
}

/** Whether a value is an integer that counts something: not negative, not beyond 2^53 - 1. */
export function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0
}

/** A checkpoint over one file that it owns; `read` gets elements that have been checked to lie in the tensor. */
export function fileCheckpoint<T extends TensorInfo>(
  source: ByteSource,
  tensors: ReadonlyMap<string, T>,
  read: (
    info: T,
    start: number,
    count: number,
    signal: AbortSignal | undefined,
    into: Uint8Array<ArrayBuffer> | undefined,
  ) => Promise<Uint8Array>,
  wording?: CheckpointWording,
): Checkpoint {
  let totalBytes = 0
  for (const tensor of tensors.values()) totalBytes += storedForm(tensor).bytes
  return {
    name: source.name,
    tensors,
    totalBytes,
    wording,
    async read(name, start, count, signal, into) {
      const info = tensorNamed(tensors, name, source.name)
      checkElements(info, start, count)
      return read(info, start, count, signal, into)
    },
    async verify(signal) {
      await source.verify?.(signal)
    },
    async close() {
      await source.close?.()
    },
  }
}
