// Hostile and honest safetensors files: the reader never fails with anything but its own faults,
// never asks for more than it has checked, and gives back what was written.
import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { RuntimeFault } from '../../src/core/errors.ts'
import { openSafetensors } from '../../src/weights/safetensors.ts'
import { memorySource, type ByteSource } from '../../src/core/files.ts'
import { fileOf, writeSafetensors, type TensorToWrite } from '../unit/weights/writeSafetensors.ts'

const elementBytes = {
  F64: 8,
  F32: 4,
  F16: 2,
  BF16: 2,
  I64: 8,
  I32: 4,
  I16: 2,
  I8: 1,
  U8: 1,
  U16: 2,
  U32: 4,
  U64: 8,
  BOOL: 1,
}

const tensor: fc.Arbitrary<TensorToWrite> = fc
  .record({
    name: fc.oneof(fc.string(), fc.string({ unit: 'binary' }), fc.constantFrom('__proto__', 'constructor')),
    dtype: fc.constantFrom(...(Object.keys(elementBytes) as (keyof typeof elementBytes)[])),
    shape: fc.array(fc.nat(4), { maxLength: 3 }),
  })
  .filter(({ name }) => name !== '__metadata__')
  .chain(({ name, dtype, shape }) => {
    const length = shape.reduce((product, dim) => product * dim, elementBytes[dtype])
    return fc
      .uint8Array({ minLength: length, maxLength: length })
      .map((bytes) => ({ name, dtype, shape, bytes }))
  })
const tensors = fc.uniqueArray(tensor, { selector: ({ name }) => name, maxLength: 6 })

/** A source that notes the size of every read and checks that it stays in the file. */
function watched(file: Uint8Array, size: number = file.length): { source: ByteSource; reads: number[] } {
  const reads: number[] = []
  const inner = memorySource('fuzz', file)
  const source: ByteSource = {
    name: 'fuzz',
    size,
    read(offset, length) {
      if (offset + length > size) throw new Error(`read ${length} at ${offset} of ${size}`)
      reads.push(length)
      return inner.read(offset, length)
    },
  }
  return { source, reads }
}

/** Opens a file that may be broken; returns what was disorderly about how that went, if anything. */
async function complaintAbout(file: Uint8Array, size?: number): Promise<string | undefined> {
  const { source, reads } = watched(file, size)
  try {
    const checkpoint = await openSafetensors(source)
    for (const info of checkpoint.tensors.values()) {
      const numElements = info.shape.reduce((product, dim) => product * dim, 1)
      const bytes = await checkpoint.read(info.name, 0, numElements)
      if (bytes.length !== info.bytes) return `${info.name} has ${bytes.length} bytes`
    }
    return undefined
  } catch (error) {
    if (!(error instanceof RuntimeFault)) return `not a fault: ${String(error)}`
    if (!/^(weights|file)\//.test(error.code)) return `the code ${error.code}`
    // Refused: at most the length and a header that fits the file were asked for.
    const [lengthBytes = 8, headerBytes = 0, ...others] = reads
    const limit = Math.max(0, Math.min(100_000_000, source.size - 8))
    return lengthBytes === 8 && headerBytes <= limit && others.length === 0
      ? undefined
      : `reads of ${reads.join()}`
  }
}

test('what was written is read', async () => {
  await fc.assert(
    fc.asyncProperty(tensors, fc.dictionary(fc.string(), fc.string()), async (written, metadata) => {
      const checkpoint = await openSafetensors(memorySource('m', writeSafetensors(written, { ...metadata })))
      expect(checkpoint.tensors.size).toBe(written.length)
      for (const { name, dtype, shape, bytes } of written) {
        const info = checkpoint.tensors.get(name)!
        expect([info.dtype, info.shape, info.bytes]).toEqual([dtype.toLowerCase(), shape, bytes.length])
        const numElements = bytes.length / elementBytes[dtype as keyof typeof elementBytes]
        const half = Math.floor(numElements / 2)
        const halves = [
          ...(await checkpoint.read(name, 0, half)),
          ...(await checkpoint.read(name, half, numElements - half)),
        ]
        expect(halves).toEqual([...bytes])
      }
    }),
  )
})

test('random bytes', async () => {
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ maxLength: 64 }), async (file) => {
      expect(await complaintAbout(file)).toBeUndefined()
    }),
  )
})

test('random JSON as header', async () => {
  await fc.assert(
    fc.asyncProperty(fc.json(), fc.uint8Array({ maxLength: 32 }), async (header, data) => {
      expect(await complaintAbout(fileOf(header, [data]))).toBeUndefined()
    }),
  )
})

test('valid files with bytes changed, cut off or lengthened', async () => {
  const change = fc.record({ at: fc.nat(400), to: fc.nat(255) })
  await fc.assert(
    fc.asyncProperty(
      tensors,
      fc.array(change, { maxLength: 3 }),
      fc.integer({ min: -12, max: 12 }),
      async (written, changes, grow) => {
        const valid = writeSafetensors(written)
        const file = new Uint8Array(Math.max(0, valid.length + grow))
        file.set(valid.subarray(0, file.length))
        for (const { at, to } of changes) if (at < file.length) file[at] = to
        expect(await complaintAbout(file)).toBeUndefined()
      },
    ),
    { numRuns: 400 },
  )
})

test('valid headers with one field replaced by something hostile', async () => {
  const count = fc.oneof(
    fc.constantFrom(-1, 0, 1, 4, 8, 0.5, 2 ** 31, 2 ** 32, 2 ** 53, 1e308, null, '4', true),
    fc.maxSafeInteger(),
  )
  const field = fc.oneof(
    fc.record({ shape: fc.oneof(fc.array(count, { maxLength: 4 }), fc.anything()) }),
    fc.record({ data_offsets: fc.oneof(fc.array(count, { minLength: 1, maxLength: 3 }), fc.anything()) }),
    fc.record({ dtype: fc.oneof(fc.constantFrom('F64', 'U8', 'F8_E5M2', '', '__proto__'), fc.anything()) }),
  )
  await fc.assert(
    fc.asyncProperty(field, fc.nat(2), async (field, which) => {
      const entry = (i: number): object => ({ dtype: 'F32', shape: [2], data_offsets: [8 * i, 8 * i + 8] })
      const header = [0, 1, 2].map((i) => [`t${i}`, i === which ? { ...entry(i), ...field } : entry(i)])
      let text: string
      try {
        text = JSON.stringify(Object.fromEntries(header))
      } catch {
        return // BigInt and cycles have no JSON.
      }
      expect(await complaintAbout(fileOf(text, [new Uint8Array(24)]))).toBeUndefined()
    }),
    { numRuns: 400 },
  )
})

test('lengths that lie about huge files are refused before anything is read', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
      fc.maxSafeInteger(),
      async (length, size) => {
        const prefix = new Uint8Array(8)
        new DataView(prefix.buffer).setBigUint64(0, length, true)
        expect(await complaintAbout(prefix, Math.abs(size))).toBeUndefined()
      },
    ),
  )
})
