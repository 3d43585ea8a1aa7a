// Ranges of elements of a GGUF tensor: reads the blocks that cover them, dequantises, and puts rows that llama.cpp
// reordered back. Never fetches more than twice the rows asked for, plus a block at either end.
import type { BufferPool } from '../../core/bufferPool.ts'
import { bytesOf } from '../../core/dtype.ts'
import { readExactly, type ByteSource } from '../../core/files.ts'
import type { GgufTensor } from './header.ts'

/** An open file, and memory for what is read of it on the way to the elements. */
export interface TensorFile {
  readonly source: ByteSource
  readonly buffers: BufferPool
}

/**
 * Elements [start, start + count) in the file's order, in the bytes of `tensor.type.dtype`; in `into` where that has
 * room for the blocks that cover them. The caller has checked the range.
 */
export async function readStored(
  { source, buffers }: TensorFile,
  tensor: GgufTensor,
  start: number,
  count: number,
  signal: AbortSignal | undefined,
  into: Uint8Array<ArrayBuffer> | undefined,
): Promise<Uint8Array> {
  const { blockElements, blockBytes, dequantize } = tensor.type
  const firstBlock = Math.floor(start / blockElements)
  const numBlocks = Math.ceil((start + count) / blockElements) - firstBlock
  const offset = tensor.offset + firstBlock * blockBytes
  const storedBytes = numBlocks * blockBytes
  if (dequantize === undefined) return readExactly(source, offset, storedBytes, signal, into)
  const values = floatsIn(into, numBlocks * blockElements)
  const buffer = buffers.take(storedBytes)
  try {
    dequantize(await readExactly(source, offset, storedBytes, signal, buffer), values)
  } finally {
    buffers.give(buffer)
  }
  const begin = values.byteOffset + (start - firstBlock * blockElements) * 4
  return new Uint8Array(values.buffer, begin, count * 4)
}

function floatsIn(into: Uint8Array<ArrayBuffer> | undefined, length: number): Float32Array<ArrayBuffer> {
  const isRoom = into !== undefined && into.byteOffset % 4 === 0 && into.byteLength >= length * 4
  return isRoom ? new Float32Array(into.buffer, into.byteOffset, length) : new Float32Array(length)
}

/**
 * As `readStored`, of a tensor whose rows llama.cpp has interleaved within each head of `headRows` rows: row `2j + s` of
 * a head is the model's row `s · headRows / 2 + j`, for s of 0 and 1. Ranges are in the model's order.
 */
export async function readInterleaved(
  file: TensorFile,
  tensor: GgufTensor,
  headRows: number,
  start: number,
  count: number,
  signal: AbortSignal | undefined,
  into: Uint8Array<ArrayBuffer> | undefined,
): Promise<Uint8Array> {
  // A bias is a column: rows of one element.
  const rowElements = tensor.shape.length === 1 ? 1 : tensor.shape.slice(1).reduce((a, b) => a * b, 1)
  const elementBytes = bytesOf(tensor.type.dtype)
  const end = start + count
  const endRow = Math.ceil(end / rowElements)
  const resultBytes = count * elementBytes
  const result =
    into !== undefined && into.byteLength >= resultBytes
      ? into.subarray(0, resultBytes)
      : new Uint8Array(resultBytes)
  for (let row = Math.floor(start / rowElements); row < endRow;) {
    const run = nextRun(row, endRow, headRows)
    const span = storedSpan(run, headRows)
    const numElements = (span.end - span.start) * rowElements
    // Blocks may stand out at either end.
    const buffer = file.buffers.take(numElements * elementBytes + 2 * 4 * tensor.type.blockElements)
    try {
      const stored = await readStored(file, tensor, span.start * rowElements, numElements, signal, buffer)
      for (; row < run.end; row++) {
        // The first and last row may be wanted in part.
        const from = Math.max(start, row * rowElements)
        const to = Math.min(end, (row + 1) * rowElements)
        const at = (storedRow(row, headRows) - span.start - row) * rowElements
        result.set(
          stored.subarray((at + from) * elementBytes, (at + to) * elementBytes),
          (from - start) * elementBytes,
        )
      }
    } finally {
      file.buffers.give(buffer)
    }
  }
  return result
}

interface Rows {
  readonly start: number
  readonly end: number
}

/**
 * The model's rows from `row` that one read fetches: as many heads as are wanted whole; else what is wanted of one
 * head if that is at least half of it; else what is wanted of half a head, whose stored rows lie apart by two.
 */
function nextRun(row: number, endRow: number, headRows: number): Rows {
  const headStart = row - (row % headRows)
  if (row === headStart && endRow - row >= headRows) {
    return { start: row, end: endRow - (endRow % headRows) }
  }
  const end = Math.min(endRow, headStart + headRows)
  const half = headRows / 2
  if (end - row >= half) return { start: row, end }
  return { start: row, end: Math.min(end, row < headStart + half ? headStart + half : end) }
}

/** The stored rows from the first to the last that the run needs. */
function storedSpan({ start, end }: Rows, headRows: number): Rows {
  const half = headRows / 2
  const isWithinHalf = Math.floor(start / half) === Math.floor((end - 1) / half)
  if (isWithinHalf) return { start: storedRow(start, headRows), end: storedRow(end - 1, headRows) + 1 }
  const headStart = start - (start % headRows)
  return { start: headStart, end: Math.max(headStart + headRows, end) }
}

function storedRow(row: number, headRows: number): number {
  const inHead = row % headRows
  const half = headRows / 2
  return row - inHead + (inHead < half ? 2 * inHead : 2 * (inHead - half) + 1)
}
