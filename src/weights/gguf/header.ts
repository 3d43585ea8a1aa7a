// The header of a GGUF file: metadata, and where each tensor lies. The file is untrusted, so every count,
// length, shape and offset is checked against the file before anything is allocated for it.
// Not here: byte access (headerReader.ts), what metadata and tensor names mean (config.ts, names.ts).
import { RuntimeFault } from '../../core/errors.ts'
import type { ByteSource } from '../../core/files.ts'
import { shown } from '../../core/values.ts'
import { elementsOf } from '../../core/shape.ts'
import { blockTypeOf, type BlockType } from './blockTypes.ts'
import { headerFault, HeaderReader } from './headerReader.ts'

/** A metadata value. 64-bit integers are numbers where these are exact. */
export type GgufValue = number | bigint | boolean | string | readonly GgufValue[]

export type GgufMetadata = ReadonlyMap<string, GgufValue>

/** A tensor as the file describes it. */
export interface GgufTensor {
  readonly name: string
  /** Row-major as elsewhere here: the reverse of the file's order. */
  readonly shape: readonly number[]
  readonly type: BlockType
  /** Of its first byte, from the beginning of the file. */
  readonly offset: number
  /** In the file. */
  readonly bytes: number
}

export interface GgufHeader {
  readonly metadata: GgufMetadata
  readonly tensors: readonly GgufTensor[]
}

const maxDims = 4
const maxKeyBytes = 65_535
const maxTensorNameBytes = 64
const maxArrayDepth = 4
/** Over all arrays: four times what a vocabulary of 256 k tokens needs. */
const maxArrayValues = 2 ** 22
const maxAlignment = 2 ** 20

/** Bytes of the scalar types, by the number that a file uses. 8 is a string, 9 an array. */
const scalarBytes: ReadonlyMap<number, number> = new Map([
  [0, 1],
  [1, 1],
  [2, 2],
  [3, 2],
  [4, 4],
  [5, 4],
  [6, 4],
  [7, 1],
  [10, 8],
  [11, 8],
  [12, 8],
])
const stringType = 8
const arrayType = 9

/** Throws `weights/format` for files of another kind or version, `weights/header` for broken ones, `weights/dtype`. */
export async function readHeader(source: ByteSource, signal: AbortSignal | undefined): Promise<GgufHeader> {
  const reader = new HeaderReader(source, signal)
  await checkVersion(reader)
  // The smallest tensor has a name length, number of dims, one dim, type and offset; the smallest pair a key length, type, value.
  const numTensors = await reader.readCount('tensors', 32)
  const numPairs = await reader.readCount('metadata pairs', 13)
  const metadata = await readMetadata(reader, numPairs)
  const tensors = await readTensors(reader, numTensors)
  const alignment = alignmentOf(reader.name, metadata)
  const dataStart = Math.ceil(reader.position / alignment) * alignment
  return { metadata, tensors: placeTensors(source, tensors, dataStart, alignment) }
}

async function checkVersion(reader: HeaderReader): Promise<void> {
  await reader.fill(8)
  const magic = reader.takeU32()
  if (magic !== 0x4655_4747) throw formatFault(reader.name, 'the letters GGUF first', 'other bytes')
  const version = reader.takeU32()
  // Version 2 differs only in never having been big-endian.
  if (version === 2 || version === 3) return
  const got = (version & 0xffff) === 0 ? 'a big-endian file' : `version ${version}`
  throw formatFault(reader.name, 'GGUF version 2 or 3, little-endian', got)
}

async function readMetadata(reader: HeaderReader, numPairs: number): Promise<GgufMetadata> {
  const metadata = new Map<string, GgufValue>()
  const budget = { values: maxArrayValues }
  for (let i = 0; i < numPairs; i++) {
    const key = await reader.readString('a metadata key', maxKeyBytes)
    if (metadata.has(key)) throw headerFault(reader.name, 'every key once', `${shown(key)} twice`)
    await reader.fill(4)
    metadata.set(key, await readValue(reader, key, reader.takeU32(), budget, 0))
  }
  return metadata
}

async function readValue(
  reader: HeaderReader,
  key: string,
  type: number,
  budget: { values: number },
  depth: number,
): Promise<GgufValue> {
  if (type === stringType) return reader.readString('a metadata string')
  if (type === arrayType) return readArray(reader, key, budget, depth)
  const bytes = scalarBytes.get(type)
  if (bytes === undefined) throw headerFault(whereOf(reader, key), 'a known value type', `type ${type}`)
  await reader.fill(bytes)
  return takeScalar(reader, key, type)
}

async function readArray(
  reader: HeaderReader,
  key: string,
  budget: { values: number },
  depth: number,
): Promise<readonly GgufValue[]> {
  if (depth === maxArrayDepth) {
    throw headerFault(whereOf(reader, key), `arrays nested at most ${maxArrayDepth} deep`, 'deeper ones')
  }
  await reader.fill(4)
  const type = reader.takeU32()
  const bytes = scalarBytes.get(type)
  // A nested array has a type and a count, a string a length.
  const minBytes = bytes ?? (type === arrayType ? 12 : 8)
  const count = await reader.readCount('array elements', minBytes)
  budget.values -= count
  if (budget.values < 0) {
    throw headerFault(whereOf(reader, key), `at most ${maxArrayValues} array elements in all`, 'more')
  }
  const values: GgufValue[] = []
  for (let i = 0; i < count; i++) {
    if (bytes === undefined) {
      values.push(await readValue(reader, key, type, budget, depth + 1))
      continue
    }
    if (!reader.has(bytes)) await reader.fill(bytes)
    values.push(takeScalar(reader, key, type))
  }
  return values
}

function takeScalar(reader: HeaderReader, key: string, type: number): number | bigint | boolean {
  switch (type) {
    case 0:
      return reader.takeU8()
    case 1:
      return reader.takeI8()
    case 2:
      return reader.takeU16()
    case 3:
      return reader.takeI16()
    case 4:
      return reader.takeU32()
    case 5:
      return reader.takeI32()
    case 6:
      return reader.takeF32()
    case 7: {
      const byte = reader.takeU8()
      if (byte > 1) throw headerFault(whereOf(reader, key), 'a bool of 0 or 1', String(byte))
      return byte === 1
    }
    case 10:
      return reader.takeU64()
    case 11:
      return reader.takeI64()
    default:
      return reader.takeF64()
  }
}

function whereOf(reader: HeaderReader, name: string): string {
  return `${reader.name}: ${shown(name)}`
}

/** As the file has them: offsets are relative to the data. */
async function readTensors(reader: HeaderReader, count: number): Promise<GgufTensor[]> {
  const tensors: GgufTensor[] = []
  const names = new Set<string>()
  for (let i = 0; i < count; i++) {
    const name = await reader.readString('a tensor name', maxTensorNameBytes)
    if (names.has(name)) throw headerFault(reader.name, 'every tensor name once', `${shown(name)} twice`)
    names.add(name)
    tensors.push(await readTensor(reader, name))
  }
  return tensors
}

async function readTensor(reader: HeaderReader, name: string): Promise<GgufTensor> {
  const where = whereOf(reader, name)
  await reader.fill(4)
  const numDims = reader.takeU32()
  if (numDims < 1 || numDims > maxDims) {
    throw headerFault(where, `1 to ${maxDims} dimensions`, String(numDims))
  }
  await reader.fill(8 * numDims + 12)
  const shape: number[] = []
  for (let i = 0; i < numDims; i++) shape.unshift(Number(reader.takeU64()))
  const numElements = elementsOf(shape)
  // Four bytes an element once read; of zero-sized tensors there is nothing to read.
  if (!(shape.every((dim) => dim >= 1) && Number.isSafeInteger(numElements * 4))) {
    throw headerFault(where, 'positive dimensions with a product below 2^51', shown(shape))
  }
  const type = blockTypeOf(where, reader.takeU32())
  const rowElements = shape.at(-1)!
  if (rowElements % type.blockElements !== 0) {
    throw headerFault(
      where,
      `rows of whole ${type.name} blocks of ${type.blockElements}`,
      `${rowElements} elements`,
    )
  }
  const offset = reader.takeU64()
  const bytes = (numElements / type.blockElements) * type.blockBytes
  if (typeof offset !== 'number') throw headerFault(where, 'an offset inside the file', String(offset))
  return { name, shape, type, offset, bytes }
}

function alignmentOf(file: string, metadata: GgufMetadata): number {
  const value = metadata.get('general.alignment') ?? 32
  const isPowerOfTwo =
    typeof value === 'number' && value >= 1 && value <= maxAlignment && Number.isInteger(Math.log2(value))
  if (isPowerOfTwo) return value
  throw headerFault(file, `general.alignment to be a power of two up to ${maxAlignment}`, shownValue(value))
}

/** Makes offsets absolute; checks that they are aligned, inside the file, and of tensors that do not overlap. */
function placeTensors(
  source: ByteSource,
  tensors: readonly GgufTensor[],
  dataStart: number,
  alignment: number,
): GgufTensor[] {
  const dataBytes = source.size - dataStart
  const placed = tensors.map((tensor) => {
    const { name, offset, bytes } = tensor
    const where = `${source.name}: ${shown(name)}`
    if (offset % alignment !== 0) {
      throw headerFault(where, `an offset that ${alignment} divides`, String(offset))
    }
    // Written without the sum, which could round.
    if (bytes > dataBytes || offset > dataBytes - bytes) {
      throw headerFault(where, `${bytes} bytes inside the file's ${dataBytes} data bytes`, `offset ${offset}`)
    }
    return { ...tensor, offset: dataStart + offset }
  })
  const inOrder = [...placed].sort((a, b) => a.offset - b.offset)
  let end = dataStart
  for (const { name, offset, bytes } of inOrder) {
    if (offset < end) {
      throw headerFault(
        `${source.name}: ${shown(name)}`,
        'tensors that do not overlap',
        `data from ${offset}, before ${end}`,
      )
    }
    end = offset + bytes
  }
  return placed
}

/** A metadata value for an error message. */
export function shownValue(value: GgufValue | undefined): string {
  return typeof value === 'bigint' ? String(value) : shown(value)
}

function formatFault(where: string, expected: string, got: string): RuntimeFault {
  return new RuntimeFault('weights/format', {
    where,
    expected,
    got,
    fix: 'Use a file that a current llama.cpp has written.',
  })
}
