// A minimal safetensors writer for tests, straight from the format's description; also writes broken files.

export interface TensorToWrite {
  name: string
  /** As the file spells it: `F32`, `BF16`, … */
  dtype: string
  shape: readonly number[]
  bytes: Uint8Array
}

export function writeSafetensors(
  tensors: readonly TensorToWrite[],
  metadata?: Record<string, string>,
): Uint8Array<ArrayBuffer> {
  const entries: [string, unknown][] = metadata === undefined ? [] : [['__metadata__', metadata]]
  let offset = 0
  for (const { name, dtype, shape, bytes } of tensors) {
    entries.push([name, { dtype, shape, data_offsets: [offset, offset + bytes.length] }])
    offset += bytes.length
  }
  // Joined by hand: an object literal would lose the name __proto__.
  const header = entries.map(([key, value]) => `${JSON.stringify(key)}:${JSON.stringify(value)}`).join(',')
  return fileOf(
    `{${header}}`,
    tensors.map((tensor) => tensor.bytes),
  )
}

/** A file with any text as header, its true length in front, then the data. */
export function fileOf(header: string, data: readonly Uint8Array[] = []): Uint8Array<ArrayBuffer> {
  const headerBytes = new TextEncoder().encode(header)
  const size = 8 + headerBytes.length + data.reduce((sum, part) => sum + part.length, 0)
  const file = new Uint8Array(size)
  new DataView(file.buffer).setBigUint64(0, BigInt(headerBytes.length), true)
  let offset = 8
  for (const part of [headerBytes, ...data]) {
    file.set(part, offset)
    offset += part.length
  }
  return file
}
