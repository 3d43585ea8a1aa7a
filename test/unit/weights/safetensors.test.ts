import { describe, expect, test } from 'vitest'
import { RuntimeFault, type FaultCode } from '../../../src/core/errors.ts'
import { openSafetensors } from '../../../src/weights/safetensors.ts'
import { memorySource, type ByteSource } from '../../../src/core/files.ts'
import { fileOf, writeSafetensors } from './writeSafetensors.ts'

const eightBytes = Uint8Array.from([1, 2, 3, 4, 5, 6, 7, 8])

async function codeOf(promise: Promise<unknown>): Promise<FaultCode | undefined> {
  try {
    await promise
    return undefined
  } catch (error) {
    if (error instanceof RuntimeFault) return error.code
    throw error
  }
}

const entry = (dtype: string, shape: string, offsets: string): string =>
  `{"dtype":"${dtype}","shape":${shape},"data_offsets":${offsets}}`

test('reads whole tensors and slices of them', async () => {
  const file = writeSafetensors(
    [
      { name: 'a.weight', dtype: 'F16', shape: [2, 2], bytes: eightBytes },
      { name: 'scalar', dtype: 'F32', shape: [], bytes: eightBytes.subarray(4) },
      { name: 'empty', dtype: 'F32', shape: [0, 4], bytes: new Uint8Array() },
    ],
    { format: 'pt' },
  )
  const checkpoint = await openSafetensors(memorySource('m.safetensors', file))
  expect([...checkpoint.tensors.keys()].sort()).toEqual(['a.weight', 'empty', 'scalar'])
  expect(checkpoint.totalBytes).toBe(12)
  expect(checkpoint.tensors.get('a.weight')).toMatchObject({
    dtype: 'f16',
    shape: [2, 2],
    bytes: 8,
    file: 'm.safetensors',
  })
  expect([...(await checkpoint.read('a.weight', 1, 2))]).toEqual([3, 4, 5, 6])
  expect([...(await checkpoint.read('scalar', 0, 1))]).toEqual([5, 6, 7, 8])
  expect([...(await checkpoint.read('empty', 0, 0))]).toEqual([])
  expect(await codeOf(checkpoint.read('a.weight', 3, 2))).toBe('weights/shape')
  expect(await codeOf(checkpoint.read('a.weight', -1, 1))).toBe('weights/shape')
  expect(await codeOf(checkpoint.read('a.weight', 0.5, 1))).toBe('weights/shape')
  expect(await codeOf(checkpoint.read('b', 0, 1))).toBe('weights/missing')
  expect(await codeOf(checkpoint.read('a.weight', 0, 1, AbortSignal.abort()))).toBe('engine/cancelled')
})

test('tensors may have the names of object members', async () => {
  const names = ['__proto__', 'constructor', 'toString']
  const file = writeSafetensors(
    names.map((name, i) => ({ name, dtype: 'U8', shape: [1], bytes: Uint8Array.of(i) })),
  )
  const checkpoint = await openSafetensors(memorySource('m', file))
  expect([...checkpoint.tensors.keys()]).toEqual(names)
  expect([...(await checkpoint.read('constructor', 0, 1))]).toEqual([1])
  expect(await codeOf(checkpoint.read('hasOwnProperty', 0, 1))).toBe('weights/missing')
})

// The verdicts agree with the reference implementation (Python safetensors 0.8.0), except where a comment says so.
describe('accepts', () => {
  test.each([
    ['no tensors', '{}', 0],
    ['padding after the object', '{}      ', 0],
    ['fields it does not know', `{"a":{"dtype":"U8","shape":[8],"data_offsets":[0,8],"x":1}}`, 8],
    ['entries in any order', `{"b":${entry('U8', '[4]', '[4,8]')},"a":${entry('U8', '[4]', '[0,4]')}}`, 8],
    [
      'an empty tensor between others',
      `{"b":${entry('U8', '[8]', '[0,8]')},"a":${entry('U8', '[0]', '[0,0]')}}`,
      8,
    ],
  ])('%s', async (_, header, dataBytes) => {
    const file = fileOf(header, [eightBytes.subarray(0, dataBytes)])
    expect((await openSafetensors(memorySource('m', file))).totalBytes).toBe(dataBytes)
  })
})

describe('rejects', () => {
  const whole = entry('U8', '[8]', '[0,8]')
  const deep = `${'['.repeat(50_000)}${']'.repeat(50_000)}`
  test.each<[string, string, FaultCode]>([
    ['an array', '[]', 'weights/header'],
    ['broken JSON', '{"a":', 'weights/header'],
    ['text after the object', `{"a":${whole}}x`, 'weights/header'],
    ['a tensor that is not an object', '{"a":null}', 'weights/header'],
    ['a missing dtype', '{"a":{"shape":[8],"data_offsets":[0,8]}}', 'weights/header'],
    ['a missing shape', '{"a":{"dtype":"U8","data_offsets":[0,8]}}', 'weights/header'],
    ['missing offsets', '{"a":{"dtype":"U8","shape":[8]}}', 'weights/header'],
    ['a dtype that is an object member', `{"a":${entry('constructor', '[8]', '[0,8]')}}`, 'weights/dtype'],
    ['a negative dimension', `{"a":${entry('U8', '[-8,-1]', '[0,8]')}}`, 'weights/header'],
    ['a fractional dimension', `{"a":${entry('U8', '[1.5]', '[0,8]')}}`, 'weights/header'],
    ['a dimension beyond 2^53', `{"a":${entry('U8', '[9007199254740993]', '[0,8]')}}`, 'weights/header'],
    ['a product beyond 2^64', `{"a":${entry('U8', '[4294967296,4294967296,0]', '[0,0]')}}`, 'weights/header'],
    ['a dimension in text', `{"a":${entry('U8', '["8"]', '[0,8]')}}`, 'weights/header'],
    ['a deeply nested shape', `{"a":${entry('U8', deep, '[0,8]')}}`, 'weights/header'],
    ['three offsets', `{"a":${entry('U8', '[8]', '[0,8,8]')}}`, 'weights/header'],
    ['offsets backwards', `{"a":${entry('U8', '[8]', '[8,0]')}}`, 'weights/header'],
    ['offsets outside the file', `{"a":${entry('U8', '[9]', '[0,9]')}}`, 'weights/header'],
    ['a size that is not the shape’s', `{"a":${entry('F16', '[3]', '[0,8]')}}`, 'weights/header'],
    ['a hole', `{"a":${entry('U8', '[2]', '[0,2]')},"b":${entry('U8', '[4]', '[4,8]')}}`, 'weights/header'],
    [
      'an overlap',
      `{"a":${entry('U8', '[6]', '[0,6]')},"b":${entry('U8', '[4]', '[4,8]')}}`,
      'weights/header',
    ],
    ['the same bytes twice', `{"a":${whole},"b":${whole}}`, 'weights/header'],
    ['a hole before the first', `{"a":${entry('U8', '[4]', '[4,8]')}}`, 'weights/header'],
    ['bytes after the last', `{"a":${entry('U8', '[4]', '[0,4]')}}`, 'weights/header'],
    ['metadata that is a string', `{"__metadata__":"x","a":${whole}}`, 'weights/header'],
    ['metadata with a number', `{"__metadata__":{"x":1},"a":${whole}}`, 'weights/header'],
    [
      'a field twice',
      `{"a":{"dtype":"F32","dtype":"U8","shape":[8],"data_offsets":[0,8]}}`,
      'weights/header',
    ],
    // The reference reads these. The format's text forbids all but float8, which nothing here could use.
    ['white space before the object', ` {"a":${whole}}`, 'weights/header'],
    ['a tensor twice', `{"a":${whole},"a":${whole}}`, 'weights/header'],
    ['a tensor twice by an escape', `{"a":${whole},"\\u0061":${whole}}`, 'weights/header'],
    ['float8', `{"a":${entry('F8_E4M3', '[8]', '[0,8]')}}`, 'weights/dtype'],
  ])('%s', async (_, header, code) => {
    expect(await codeOf(openSafetensors(memorySource('m', fileOf(header, [eightBytes]))))).toBe(code)
  })

  test.each<[string, Uint8Array]>([
    ['an empty file', new Uint8Array()],
    ['seven bytes', new Uint8Array(7)],
    ['a header of no bytes', new Uint8Array(8)],
    ['a length beyond 2^53', Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 255, 123, 125)],
    ['a length beyond the file', Uint8Array.of(3, 0, 0, 0, 0, 0, 0, 0, 123, 125)],
    ['malformed UTF-8', Uint8Array.of(3, 0, 0, 0, 0, 0, 0, 0, 123, 255, 125)],
  ])('%s', async (_, file) => {
    expect(await codeOf(openSafetensors(memorySource('m', file)))).toBe('weights/header')
  })

  test('a header above the limit without asking for it', async () => {
    const reads: number[] = []
    const source: ByteSource = {
      name: 'huge',
      size: 2 ** 40,
      async read(_, length) {
        reads.push(length)
        const bytes = new Uint8Array(length)
        new DataView(bytes.buffer).setBigUint64(0, 100_000_001n, true)
        return bytes
      },
    }
    expect(await codeOf(openSafetensors(source))).toBe('weights/header')
    expect(reads).toEqual([8])
  })
})

test('an error names the file, the tensor and both values', async () => {
  const file = fileOf(`{"lm_head.weight":${entry('F16', '[3]', '[0,8]')}}`, [eightBytes])
  await expect(openSafetensors(memorySource('m.safetensors', file))).rejects.toThrow(
    '[weights/header] m.safetensors: "lm_head.weight": expected 6 bytes for f16 [3], got 8 bytes. ' +
      'Fetch the file again; it is damaged or not safetensors.',
  )
})

test('closes the source with the checkpoint, and when opening fails', async () => {
  let closed = 0
  const closing = (file: Uint8Array): ByteSource => ({
    ...memorySource('m', file),
    async close() {
      closed++
    },
  })
  await expect(openSafetensors(closing(new Uint8Array(3)))).rejects.toThrow(RuntimeFault)
  expect(closed).toBe(1)
  await (await openSafetensors(closing(fileOf('{}')))).close()
  expect(closed).toBe(2)
})
