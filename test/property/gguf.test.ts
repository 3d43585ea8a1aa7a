// Hostile and honest GGUF files: the reader never fails with anything but its own faults, never reads outside the file
// or more than it has checked, and gives back what was written. Includes a minimal writer of broken files.
import { readFileSync } from 'node:fs'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { RuntimeFault } from '../../src/core/errors.ts'
import { memorySource, type ByteSource } from '../../src/core/files.ts'
import { openGguf } from '../../src/weights/gguf/gguf.ts'
import type { GgufValue } from '../../src/weights/gguf/header.ts'
import { fixturesDir } from '../helpers/dirs.ts'

const u32 = (value: number): number[] => [...new Uint8Array(Uint32Array.of(value).buffer)]
const u64 = (value: number | bigint): number[] => [...new Uint8Array(BigUint64Array.of(BigInt(value)).buffer)]
const text = (value: string): number[] => {
  const bytes = new TextEncoder().encode(value)
  return [...u64(bytes.length), ...bytes]
}
const pair = (key: string, type: number, value: readonly number[]): number[] => [
  ...text(key),
  ...u32(type),
  ...value,
]

interface TensorToWrite {
  name: string
  /** In the file's order. */
  dims: readonly (number | bigint)[]
  type: number
  offset: number | bigint
}

function fileOf(
  pairs: readonly (readonly number[])[],
  tensors: readonly TensorToWrite[] = [],
  dataBytes = 0,
  alignment = 32,
): Uint8Array<ArrayBuffer> {
  const infos = tensors.flatMap(({ name, dims, type, offset }) => [
    ...text(name),
    ...u32(dims.length),
    ...dims.flatMap(u64),
    ...u32(type),
    ...u64(offset),
  ])
  const header = [
    0x47,
    0x47,
    0x55,
    0x46,
    ...u32(3),
    ...u64(tensors.length),
    ...u64(pairs.length),
    ...pairs.flat(),
  ]
  header.push(...infos)
  const file = new Uint8Array(Math.ceil(header.length / alignment) * alignment + dataBytes)
  file.set(header)
  return file
}

interface Watched {
  readonly source: ByteSource
  readonly reads: number[]
}

/** A source that checks that reads stay in the file, and gives short reads beyond the bytes that there are. */
function watched(file: Uint8Array, size: number = file.length): Watched {
  const reads: number[] = []
  const inner = memorySource('fuzz', file)
  const source: ByteSource = {
    name: 'fuzz',
    size,
    read(offset, length) {
      const isInside = offset >= 0 && length >= 0 && offset + length <= size
      if (!isInside || length > 2 ** 27) throw new Error(`read ${length} at ${offset} of ${size}`)
      reads.push(length)
      return inner.read(offset, length)
    },
  }
  return { source, reads }
}

/** Opens a file that may be broken and reads all it has; returns what was disorderly about that, if anything. */
async function complaintAbout(file: Uint8Array, size?: number): Promise<string | undefined> {
  const { source, reads } = watched(file, size)
  const total = (): number => reads.reduce((sum, length) => sum + length, 0)
  try {
    const { checkpoint } = await openGguf(source)
    if (total() > source.size + 4096) return `${total()} bytes for a header in ${source.size}`
    for (const info of checkpoint.tensors.values()) {
      const numElements = info.shape.reduce((product, dim) => product * dim, 1)
      reads.length = 0
      const bytes = await checkpoint.read(info.name, 0, numElements)
      if (bytes.length !== info.bytes) return `${info.name} has ${bytes.length} bytes`
      if (total() > info.bytes) return `${total()} bytes read for ${info.bytes}`
    }
    return undefined
  } catch (error) {
    if (!(error instanceof RuntimeFault)) return `not a fault: ${String(error)}`
    if (!/^(weights|file)\//.test(error.code)) return `the code ${error.code}`
    // readExactly wraps what the source throws, also our complaint about a read outside.
    const { cause } = error
    return cause instanceof Error && cause.message.startsWith('read ') ? cause.message : undefined
  }
}

const fixtures = ['llama', 'qwen2', 'types', 'bpe', 'spm'].map((name) =>
  Uint8Array.from(readFileSync(`${fixturesDir}/golden/gguf/${name}.gguf`)),
)
const hostileCount = fc.oneof(
  fc.constantFrom(
    0n,
    1n,
    2n ** 16n,
    2n ** 31n,
    2n ** 32n,
    2n ** 53n - 1n,
    2n ** 53n,
    2n ** 63n,
    2n ** 64n - 1n,
  ),
  fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
  fc.bigInt({ min: 0n, max: 300n }),
)

test('the fixtures themselves are in order', async () => {
  for (const file of fixtures) expect(await complaintAbout(file)).toBeUndefined()
})

test('random bytes, with and without the right beginning', async () => {
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ maxLength: 128 }), fc.boolean(), async (bytes, begins) => {
      const file = begins ? Uint8Array.of(0x47, 0x47, 0x55, 0x46, ...u32(3), ...bytes) : bytes
      expect(await complaintAbout(file)).toBeUndefined()
    }),
    { numRuns: 400 },
  )
})

test('valid files with bytes changed', async () => {
  // Most of what matters is in the first 2 kB.
  const change = fc.record({ at: fc.oneof(fc.nat(2000), fc.nat(16_000)), to: fc.nat(255) })
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...fixtures),
      fc.array(change, { minLength: 1, maxLength: 4 }),
      async (valid, changes) => {
        const file = valid.slice()
        for (const { at, to } of changes) if (at < file.length) file[at] = to
        expect(await complaintAbout(file)).toBeUndefined()
      },
    ),
    { numRuns: 600 },
  )
})

test('valid files with a count or length replaced', async () => {
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(...fixtures), fc.nat(1800), hostileCount, async (valid, at, count) => {
      const file = valid.slice()
      new DataView(file.buffer).setBigUint64(at, count, true)
      expect(await complaintAbout(file)).toBeUndefined()
    }),
    { numRuns: 600 },
  )
})

test('valid files cut off or lengthened', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...fixtures),
      fc.double({ min: 0, max: 1.1, noNaN: true }),
      async (valid, share) => {
        const file = new Uint8Array(Math.floor(valid.length * share))
        file.set(valid.subarray(0, file.length))
        expect(await complaintAbout(file)).toBeUndefined()
      },
    ),
    { numRuns: 300 },
  )
})

test('counts that lie about huge files', async () => {
  await fc.assert(
    fc.asyncProperty(
      hostileCount,
      hostileCount,
      fc.integer({ min: 24, max: 2 ** 52 }),
      async (tensors, pairs, size) => {
        const file = Uint8Array.of(0x47, 0x47, 0x55, 0x46, ...u32(3), ...u64(tensors), ...u64(pairs))
        expect(await complaintAbout(file, size)).toBeUndefined()
      },
    ),
    { numRuns: 300 },
  )
})

test('tensors with hostile dimensions, types and offsets', async () => {
  const tensor = fc.record({
    name: fc.constantFrom('a', 'b', 'blk.0.attn_q.weight', 'token_embd.weight', 'rope_freqs.weight'),
    dims: fc.array(fc.oneof(hostileCount, fc.constantFrom(32n, 256n)), { maxLength: 5 }),
    type: fc.oneof(fc.nat(40), fc.constantFrom(0, 1, 2, 8, 12, 14, 2 ** 32 - 1)),
    offset: fc.oneof(hostileCount, fc.constantFrom(0n, 32n, 64n, 1024n)),
  })
  const heads = fc.oneof(fc.nat(40), fc.constantFrom(2 ** 32 - 1))
  await fc.assert(
    fc.asyncProperty(fc.array(tensor, { minLength: 1, maxLength: 3 }), heads, async (tensors, heads) => {
      const pairs = [
        pair('general.architecture', 8, text('llama')),
        pair('llama.attention.head_count', 4, u32(heads)),
      ]
      expect(await complaintAbout(fileOf(pairs, tensors, 2048))).toBeUndefined()
    }),
    { numRuns: 600 },
  )
})

test('metadata of every type is read as written', async () => {
  const little = (bytes: ArrayBuffer): number[] => [...new Uint8Array(bytes)]
  const array = (type: number, count: number, bytes: readonly number[]): number[] => [
    ...u32(type),
    ...u64(count),
    ...bytes,
  ]
  const cases: [number, number[], GgufValue][] = [
    [0, [200], 200],
    [1, [200], -56],
    [2, [1, 255], 0xff01],
    [3, [1, 255], -255],
    [4, u32(2 ** 32 - 1), 2 ** 32 - 1],
    [5, u32(2 ** 32 - 1), -1],
    [6, little(Float32Array.of(0.1).buffer), Math.fround(0.1)],
    [7, [1], true],
    [7, [0], false],
    [8, text('grüße \ufeff'), 'grüße \ufeff'],
    [8, text('\ufeff'), '\ufeff'],
    [10, u64(2n ** 53n - 1n), 2 ** 53 - 1],
    [10, u64(2n ** 53n), 2n ** 53n],
    [11, u64(2n ** 64n - 1n), -1],
    [12, little(Float64Array.of(0.1).buffer), 0.1],
    [9, array(8, 3, [...text('a'), ...text(''), ...text('b')]), ['a', '', 'b']],
    [9, array(5, 2, [...u32(1), ...u32(2 ** 32 - 2)]), [1, -2]],
    [9, array(9, 2, [...array(7, 1, [1]), ...array(0, 0, [])]), [[true], []]],
  ]
  const file = fileOf(cases.map(([type, bytes], i) => pair(`key ${i}`, type, bytes)))
  const { metadata } = await openGguf(memorySource('m', file))
  expect([...metadata]).toEqual(cases.map(([, , value], i) => [`key ${i}`, value]))
})

test('a header longer than the window is read once, in pieces', async () => {
  const strings = Array.from({ length: 60_000 }, (_, i) => `${i} ${'x'.repeat(i % 100)}`)
  const long = 'y'.repeat(3_000_000)
  const bytes = Buffer.concat([
    Buffer.from([0x47, 0x47, 0x55, 0x46, ...u32(3), ...u64(0), ...u64(2)]),
    Buffer.from([...text('a'), ...u32(9), ...u32(8), ...u64(strings.length)]),
    ...strings.map((value) => Buffer.from(text(value))),
    Buffer.from([...text('b'), ...u32(8), ...u64(long.length)]),
    Buffer.from(long),
  ])
  const { source, reads } = watched(bytes)
  const { metadata } = await openGguf(source)
  expect(metadata.get('a')).toEqual(strings)
  expect(metadata.get('b')).toBe(long)
  expect(reads.reduce((sum, length) => sum + length, 0)).toBe(bytes.length)
  expect(reads.filter((length) => length > 2 ** 20)).toHaveLength(1)
})

describe('refused', () => {
  const weight = { name: 'a', dims: [32, 2], type: 0, offset: 0 }
  const withAlignment = (value: number): number[] => pair('general.alignment', 4, u32(value))
  const nested = (depth: number): number[] =>
    depth === 0 ? [...u32(0), ...u64(0)] : [...u32(9), ...u64(1), ...nested(depth - 1)]
  const headed = (...bytes: number[]): Uint8Array<ArrayBuffer> =>
    Uint8Array.from([...bytes, ...Array.from({ length: 40 }, () => 0)])

  test.each<[string, string, Uint8Array<ArrayBuffer>]>([
    ['another magic', 'weights/format', headed(0x47, 0x47, 0x4d, 0x4c, ...u32(3))],
    ['version 1', 'weights/format', headed(0x47, 0x47, 0x55, 0x46, ...u32(1))],
    ['version 4', 'weights/format', headed(0x47, 0x47, 0x55, 0x46, ...u32(4))],
    ['big-endian', 'weights/format', headed(0x47, 0x47, 0x55, 0x46, 0, 0, 0, 3)],
    ['a part of a model', 'weights/format', fileOf([pair('split.count', 2, [2, 0])])],
    ['an empty file', 'weights/header', new Uint8Array()],
    ['a key twice', 'weights/header', fileOf([pair('k', 0, [1]), pair('k', 0, [2])])],
    ['a key that is not UTF-8', 'weights/header', fileOf([[...u64(1), 0xff, ...u32(0), 0, 0, 0]])],
    ['an unknown value type', 'weights/header', fileOf([pair('k', 13, [0])])],
    [
      'an unknown type of array',
      'weights/header',
      fileOf([pair('k', 9, [...u32(13), ...u64(1), ...u64(0)])]),
    ],
    ['a bool of 2', 'weights/header', fileOf([pair('k', 7, [2])])],
    ['arrays nested too deep', 'weights/header', fileOf([pair('k', 9, nested(4))])],
    ['an array longer than the file', 'weights/header', fileOf([pair('k', 9, [...u32(0), ...u64(10_000)])])],
    ['alignment 0', 'weights/header', fileOf([withAlignment(0)])],
    ['alignment 48', 'weights/header', fileOf([withAlignment(48)])],
    ['alignment 2^31', 'weights/header', fileOf([withAlignment(2 ** 31)])],
    ['alignment of another type', 'weights/header', fileOf([pair('general.alignment', 8, text('32'))])],
    ['a tensor twice', 'weights/header', fileOf([], [weight, { ...weight, offset: 256 }], 512)],
    ['no dimensions', 'weights/header', fileOf([], [{ ...weight, dims: [] }], 256)],
    ['five dimensions', 'weights/header', fileOf([], [{ ...weight, dims: [1, 1, 1, 1, 1] }], 256)],
    ['a dimension of 0', 'weights/header', fileOf([], [{ ...weight, dims: [32, 0] }], 256)],
    ['a product beyond 2^53', 'weights/header', fileOf([], [{ ...weight, dims: [2 ** 30, 2 ** 30] }], 256)],
    ['an unknown block type', 'weights/dtype', fileOf([], [{ ...weight, type: 10 }], 256)],
    ['a row of half a block', 'weights/header', fileOf([], [{ ...weight, dims: [16, 4], type: 8 }], 256)],
    ['an unaligned offset', 'weights/header', fileOf([], [{ ...weight, offset: 16 }], 512)],
    [
      'an offset that another alignment allows',
      'weights/header',
      fileOf([withAlignment(64)], [{ ...weight, offset: 32 }], 512, 64),
    ],
    ['data beyond the file', 'weights/header', fileOf([], [{ ...weight, offset: 32 }], 256)],
    ['an offset beyond 2^53', 'weights/header', fileOf([], [{ ...weight, offset: 2n ** 60n }], 256)],
    [
      'tensors that overlap',
      'weights/header',
      fileOf([], [weight, { ...weight, name: 'b', offset: 224 }], 512),
    ],
    ['a long tensor name', 'weights/header', fileOf([], [{ ...weight, name: 'n'.repeat(65) }], 256)],
    [
      'two names for one tensor',
      'weights/header',
      fileOf(
        [pair('general.architecture', 8, text('qwen2'))],
        [
          { ...weight, name: 'output.weight' },
          { ...weight, name: 'lm_head.weight', offset: 256 },
        ],
        512,
      ),
    ],
    [
      'heads that do not divide the rows',
      'weights/header',
      fileOf(
        [pair('general.architecture', 8, text('llama')), pair('llama.attention.head_count', 4, u32(3))],
        [{ ...weight, name: 'blk.0.attn_q.weight' }],
        256,
      ),
    ],
  ])('%s', async (_, code, file) => {
    await expect(openGguf(watched(file).source)).rejects.toMatchObject({ code })
  })

  test('neighbours of these are accepted', async () => {
    const good = [
      fileOf([], [weight], 256),
      fileOf([], [weight, { ...weight, name: 'b', offset: 256 }], 512),
      fileOf([pair('k', 9, nested(3)), pair('split.count', 2, [1, 0])], [weight], 256),
      fileOf([withAlignment(64)], [{ ...weight, offset: 64 }], 512, 64),
      fileOf([], [{ ...weight, dims: [32, 1, 1, 2], name: 'n'.repeat(64) }], 256),
    ]
    for (const file of good) expect(await complaintAbout(file)).toBeUndefined()
    for (const file of good) await expect(openGguf(memorySource('m', file))).resolves.toBeDefined()
    const version2 = good[0]!.slice()
    version2[4] = 2
    await expect(openGguf(memorySource('m', version2))).resolves.toBeDefined()
  })
})

test('a fault of dimensions shows all of them', async () => {
  const file = fileOf([], [{ name: 'w', dims: [64, 2 ** 48], type: 0, offset: 0 }], 256)
  await expect(openGguf(memorySource('fuzz', file))).rejects.toThrow(
    /"w": expected positive dimensions with a product below 2\^51, got \[281474976710656, 64\]/,
  )
})
