// Reads one safetensors file: an 8-byte header length, a JSON header, then the tensors' bytes without gaps.
// The file is untrusted, so everything is checked before a byte after the header is asked for.
// Not here: several files as one checkpoint (sharded.ts).
import { bytesOf, type SourceDType } from '../core/dtype.ts'
import { RuntimeFault } from '../core/errors.ts'
import { fileCheckpoint, isCount, type Checkpoint, type TensorInfo } from './checkpoint.ts'
import { findDuplicateKey } from './duplicateKeys.ts'
import { decodeUtf8, readExactly, type ByteSource } from '../core/files.ts'
import { isRecord, shown } from '../core/values.ts'

/** The reference implementation's limit. */
const maxHeaderBytes = 100_000_000

const dtypes: ReadonlyMap<string, SourceDType> = new Map([
  ['F64', 'f64'],
  ['F32', 'f32'],
  ['F16', 'f16'],
  ['BF16', 'bf16'],
  ['I64', 'i64'],
  ['I32', 'i32'],
  ['I16', 'i16'],
  ['I8', 'i8'],
  ['U8', 'u8'],
  ['U16', 'u16'],
  ['U32', 'u32'],
  ['U64', 'u64'],
  ['BOOL', 'bool'],
])

/** A tensor and where its first byte is in the file. */
interface PlacedTensor extends TensorInfo {
  readonly offset: number
}

/**
 * Opens a safetensors file by reading its header only. It owns the source: closing the checkpoint,
 * or a failure here, closes the file.
 * Throws `weights/header` when the header breaks the format, `weights/dtype` for element types we cannot read.
 */
export async function openSafetensors(source: ByteSource, signal?: AbortSignal): Promise<Checkpoint> {
  try {
    const headerBytes = await readHeaderLength(source, signal)
    const header = parseHeader(source.name, await readExactly(source, 8, headerBytes, signal))
    return checkpointOf(source, placeTensors(source, header, 8 + headerBytes))
  } catch (error) {
    await source.close?.()
    throw error
  }
}

function checkpointOf(source: ByteSource, tensors: ReadonlyMap<string, PlacedTensor>): Checkpoint {
  return fileCheckpoint(source, tensors, ({ dtype, offset }, start, count, signal, into) => {
    const elementBytes = bytesOf(dtype)
    return readExactly(source, offset + start * elementBytes, count * elementBytes, signal, into)
  })
}

async function readHeaderLength(source: ByteSource, signal?: AbortSignal): Promise<number> {
  if (source.size < 8) throw headerFault(source.name, 'at least 8 bytes', `${source.size} bytes`)
  const bytes = await readExactly(source, 0, 8, signal)
  const length = new DataView(bytes.buffer, bytes.byteOffset, 8).getBigUint64(0, true)
  const limit = Math.min(maxHeaderBytes, source.size - 8)
  if (length > BigInt(limit)) {
    throw headerFault(source.name, `a header of at most ${limit} bytes`, `a length of ${length}`)
  }
  return Number(length)
}

function parseHeader(file: string, bytes: Uint8Array): Record<string, unknown> {
  // The format forbids white space here, though JSON would allow it.
  if (bytes[0] !== 0x7b) throw headerFault(file, 'a header that begins with {', 'another byte')
  let text: string
  let header: unknown
  try {
    text = decodeUtf8(bytes)
    header = JSON.parse(text)
  } catch (cause) {
    throw headerFault(file, 'a header in UTF-8 JSON', String(cause), cause)
  }
  if (!isRecord(header)) throw headerFault(file, 'a JSON object as header', 'another value')
  const duplicate = findDuplicateKey(text)
  if (duplicate !== undefined) throw headerFault(file, 'every key once', `${shown(duplicate)} twice`)
  return header
}

/** Checks every entry and that the tensors cover the data section from end to end, each byte once. */
function placeTensors(
  source: ByteSource,
  header: Record<string, unknown>,
  dataStart: number,
): ReadonlyMap<string, PlacedTensor> {
  const placed: PlacedTensor[] = []
  for (const [name, entry] of Object.entries(header)) {
    if (name === '__metadata__') checkMetadata(source.name, entry)
    else placed.push(placeTensor(source, name, entry, dataStart))
  }
  placed.sort((a, b) => a.offset - b.offset || a.bytes - b.bytes)
  let end = dataStart
  for (const tensor of placed) {
    if (tensor.offset !== end) {
      throw headerFault(
        `${source.name}: ${shown(tensor.name)}`,
        `data that begins at ${end - dataStart}, where the tensor before it ends`,
        `data_offsets from ${tensor.offset - dataStart}`,
      )
    }
    end += tensor.bytes
  }
  if (end !== source.size) {
    throw headerFault(
      source.name,
      `tensors that fill the file's ${source.size - dataStart} data bytes`,
      `${end - dataStart} bytes of tensors`,
    )
  }
  return new Map(placed.map((tensor) => [tensor.name, tensor]))
}

function placeTensor(source: ByteSource, name: string, entry: unknown, dataStart: number): PlacedTensor {
  const where = `${source.name}: ${shown(name)}`
  if (!isRecord(entry)) throw headerFault(where, 'an object that describes the tensor', shown(entry))
  const dtype = dtypeNamed(where, entry['dtype'])
  const shape = entry['shape']
  if (!Array.isArray(shape) || !shape.every(isCount)) {
    throw headerFault(where, 'a shape of non-negative integers', shown(shape))
  }
  const offsets = entry['data_offsets']
  if (!Array.isArray(offsets) || offsets.length !== 2 || !offsets.every(isCount)) {
    throw headerFault(where, 'data_offsets of two non-negative integers', shown(offsets))
  }
  const [begin, end] = offsets as [number, number]
  const dataBytes = source.size - dataStart
  if (begin > end || end > dataBytes) {
    throw headerFault(where, `data_offsets inside the file's ${dataBytes} data bytes`, shown(offsets))
  }
  const bytes = tensorBytes(where, dtype, shape)
  if (end - begin !== bytes) {
    throw headerFault(where, `${bytes} bytes for ${dtype} ${shown(shape)}`, `${end - begin} bytes`)
  }
  return { name, dtype, shape, bytes, file: source.name, offset: dataStart + begin }
}

/** Bytes of a tensor; throws when a product on the way leaves the safe integers, as the reference does. */
function tensorBytes(where: string, dtype: SourceDType, shape: readonly number[]): number {
  let bytes = bytesOf(dtype)
  for (const dim of shape) {
    bytes *= dim
    if (!Number.isSafeInteger(bytes))
      throw headerFault(where, 'a tensor below 2^53 bytes', `shape ${shown(shape)}`)
  }
  return bytes
}

function dtypeNamed(where: string, name: unknown): SourceDType {
  if (typeof name !== 'string') throw headerFault(where, 'a dtype', shown(name))
  const dtype = dtypes.get(name)
  if (dtype !== undefined) return dtype
  throw new RuntimeFault('weights/dtype', {
    where,
    expected: `one of ${[...dtypes.keys()].join(', ')}`,
    got: shown(name),
    fix: 'Convert the checkpoint to F16, BF16 or F32.',
  })
}

function checkMetadata(file: string, metadata: unknown): void {
  if (isRecord(metadata) && Object.values(metadata).every((value) => typeof value === 'string')) return
  throw headerFault(file, '__metadata__ that maps strings to strings', shown(metadata))
}

function headerFault(where: string, expected: string, got: string, cause?: unknown): RuntimeFault {
  return new RuntimeFault('weights/header', {
    where,
    expected,
    got,
    fix: 'Fetch the file again; it is damaged or not safetensors.',
    cause,
  })
}
