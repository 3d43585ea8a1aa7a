// Opens a GGUF file as a checkpoint: tensors under Hugging Face names and shapes, quantised ones as f32.
// Next: config.ts for the model's configuration, text/ggufTokenizer.ts for its tokenizer.
import { BufferPool } from '../../core/bufferPool.ts'
import { bytesOf } from '../../core/dtype.ts'
import { RuntimeFault } from '../../core/errors.ts'
import type { ByteSource } from '../../core/files.ts'
import { shown } from '../../core/values.ts'
import { elementsOf } from '../../core/shape.ts'
import { decodeF32 } from '../decode.ts'
import {
  fileCheckpoint,
  isCount,
  type Checkpoint,
  type CheckpointWording,
  type TensorInfo,
} from '../checkpoint.ts'
import { readHeader, shownValue, type GgufMetadata, type GgufTensor } from './header.ts'
import { headerFault } from './headerReader.ts'
import { isKnownArchitecture, nameInFile, roleOf, type TensorRole } from './names.ts'
import { readInterleaved, readStored } from './tensorReader.ts'

/** An open file. Closing the checkpoint closes it. */
export interface Gguf {
  readonly metadata: GgufMetadata
  /**
   * llama, mistral and qwen2 tensors have Hugging Face names and row order; what has no such name, and all tensors of
   * other architectures, keep llama.cpp's.
   */
  readonly checkpoint: Checkpoint
  /** `rope_freqs.weight`: what each rotary frequency is divided by. */
  readonly ropeFactors: Float32Array | undefined
}

/** A tensor with what reading it takes. */
interface PlacedTensor extends TensorInfo {
  readonly inFile: GgufTensor
  /** Rows of a head whose rows are interleaved. */
  readonly headRows: number | undefined
}

/** Twice the rotary frequencies of any model. */
const maxRopeFactors = 1024

/**
 * Opens a GGUF file (version 2 or 3, little-endian) by reading its header only. It owns the source: closing the
 * checkpoint, or a failure here, closes the file.
 * Throws `weights/format` for other files and parts of a split model, `weights/header` when the header breaks the
 * format, `weights/dtype` for block types that we cannot read.
 */
export async function openGguf(source: ByteSource, signal?: AbortSignal): Promise<Gguf> {
  try {
    const { metadata, tensors } = await readHeader(source, signal)
    checkWhole(source.name, metadata)
    const checkpoint = checkpointOf(source, nameTensors(source.name, metadata, tensors))
    return { metadata, checkpoint, ropeFactors: await readRopeFactors(checkpoint, signal) }
  } catch (error) {
    await source.close?.()
    throw error
  }
}

function checkpointOf(source: ByteSource, tensors: ReadonlyMap<string, PlacedTensor>): Checkpoint {
  const file = { source, buffers: new BufferPool() }
  return fileCheckpoint(
    source,
    tensors,
    ({ headRows, inFile }, start, count, signal, into) =>
      headRows === undefined
        ? readStored(file, inFile, start, count, signal, into)
        : readInterleaved(file, inFile, headRows, start, count, signal, into),
    wording,
  )
}

const wording: CheckpointWording = {
  nameInFile,
  mismatchFix: 'Fetch the file again, or convert the model anew: its metadata is of other tensors.',
}

function checkWhole(file: string, metadata: GgufMetadata): void {
  const numParts = metadata.get('split.count') ?? 0
  if (numParts === 0 || numParts === 1) return
  throw new RuntimeFault('weights/format', {
    where: file,
    expected: 'a model in one file',
    got: `one of ${shownValue(numParts)} parts`,
    fix: 'Join the parts with llama-gguf-split --merge.',
  })
}

function nameTensors(
  file: string,
  metadata: GgufMetadata,
  inFile: readonly GgufTensor[],
): ReadonlyMap<string, PlacedTensor> {
  const architecture = metadata.get('general.architecture')
  const tensors = new Map<string, PlacedTensor>()
  for (const tensor of [...inFile].sort((a, b) => a.offset - b.offset)) {
    const role: TensorRole = isKnownArchitecture(architecture)
      ? roleOf(architecture, tensor.name)
      : { name: tensor.name, interleavedHeads: undefined }
    if (tensors.has(role.name)) {
      throw headerFault(file, 'every tensor once', `${shown(role.name)} under two names`)
    }
    const numElements = elementsOf(tensor.shape)
    tensors.set(role.name, {
      name: role.name,
      dtype: tensor.type.dtype,
      shape: tensor.shape,
      bytes: numElements * bytesOf(tensor.type.dtype),
      stored:
        tensor.type.dequantize === undefined ? undefined : { type: tensor.type.name, bytes: tensor.bytes },
      file,
      inFile: tensor,
      headRows: headRowsOf(file, metadata, tensor, role.interleavedHeads),
    })
  }
  return tensors
}

function headRowsOf(
  file: string,
  metadata: GgufMetadata,
  { name, shape }: GgufTensor,
  heads: TensorRole['interleavedHeads'],
): number | undefined {
  if (heads === undefined) return undefined
  const prefix = `${String(metadata.get('general.architecture'))}.attention.head_count`
  const queryHeads = metadata.get(prefix)
  const numHeads = heads === 'query' ? queryHeads : (metadata.get(`${prefix}_kv`) ?? queryHeads)
  const headRows = isCount(numHeads) ? shape[0]! / numHeads : NaN
  if (Number.isInteger(headRows) && headRows % 2 === 0) return headRows
  throw headerFault(
    `${file}: ${shown(name)}`,
    'a head count that gives every head the same even number of rows',
    `${shownValue(numHeads)} heads for ${shape[0]} rows`,
  )
}

async function readRopeFactors(
  checkpoint: Checkpoint,
  signal: AbortSignal | undefined,
): Promise<Float32Array | undefined> {
  const info = checkpoint.tensors.get('rope_freqs.weight')
  if (info === undefined) return undefined
  const [numFactors = 0] = info.shape
  if (info.shape.length !== 1 || numFactors > maxRopeFactors) {
    throw headerFault(
      `${checkpoint.name}: ${info.name}`,
      `at most ${maxRopeFactors} factors`,
      shown(info.shape),
    )
  }
  return decodeF32(info.dtype, await checkpoint.read(info.name, 0, numFactors, signal))
}
