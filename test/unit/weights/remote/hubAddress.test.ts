// What an address that was copied from a browser means: a repository, a revision, a file of it; and what is none.

import { describe, expect, test } from 'vitest'
import { parseHubUrl } from '../../../../src/weights/remote/hubAddress.ts'
import { parseHubModelId } from '../../../../src/weights/remote/hubModel.ts'

const repository = { id: 'owner/name', file: undefined, revision: undefined }
const hub = 'https://huggingface.co'

describe('an id', () => {
  test.each([
    ['owner/name', {}],
    ['owner/name-1.5_x', { id: 'owner/name-1.5_x' }],
    ['owner/name/q8/file.gguf', { file: 'q8/file.gguf' }],
    ['owner/name@v1', { revision: 'v1' }],
    ['owner/name@refs/pr/1', { revision: 'refs/pr/1' }],
    ['owner/name@v1/q8/file.gguf', { revision: 'v1', file: 'q8/file.gguf' }],
    ['owner/name@refs/pr/1/file.gguf', { revision: 'refs/pr/1', file: 'file.gguf' }],
  ])('%s', (text, expected) => {
    expect(parseHubModelId(text)).toEqual({ ...repository, ...expected })
  })

  test.each([
    'tiny-llama',
    './a/b',
    '../a',
    '/a/b',
    'a/b/c',
    'a/b.gguf',
    'a\\b',
    'a/b/',
    'a b/c',
    'a/..',
    'a@b/c',
    'a/b@',
    '@a/b',
    'a/b/c@v1',
  ])('is not %s', (text) => expect(parseHubModelId(text)).toBeUndefined())
})

describe.each([
  ['the hub', hub, undefined],
  ['the hub, while another is the default', hub, 'https://mirror.example/hf'],
  ['the hub by a short name', 'https://hf.co', undefined],
  ['the hub without encryption', 'http://huggingface.co', undefined],
  ['another hub', 'https://mirror.example/hf', 'https://mirror.example/hf/'],
  ['another hub, in capitals', 'HTTPS://MIRROR.example/hf', 'https://mirror.example/hf'],
])('an address of %s', (_what, prefix, endpoint = hub) => {
  const expected = /mirror/i.test(prefix) ? 'https://mirror.example/hf' : hub

  test.each([
    ['', {}],
    ['/', {}],
    ['?library=transformers#usage', {}],
    ['/tree/main', { revision: 'main' }],
    ['/tree/v1/', { revision: 'v1' }],
    ['/tree/refs%2Fpr%2F1', { revision: 'refs/pr/1' }],
    ['/tree/refs/pr/1', { revision: 'refs/pr/1' }],
    ['/tree/release%2Fv1', { revision: 'release/v1' }],
    ['/blob/feature%2Fx/y.gguf', { revision: 'feature/x', file: 'y.gguf' }],
    ['/resolve/main', { revision: 'main' }],
    ['/resolve/main/x.gguf', { revision: 'main', file: 'x.gguf' }],
    ['/resolve/main/x.gguf?download=true', { revision: 'main', file: 'x.gguf' }],
    ['/blob/v1/q8/my%20x.gguf', { revision: 'v1', file: 'q8/my x.gguf' }],
    ['/blob/refs%2Fpr%2F1/X.GGUF', { revision: 'refs/pr/1', file: 'X.GGUF' }],
    ['/raw/main/x.gguf', { revision: 'main', file: 'x.gguf' }],
    ['/blob/main/config.json', { revision: 'main' }],
    ['/resolve/main/model.safetensors', { revision: 'main' }],
  ])('of a repository and then %s', (rest, parts) => {
    const parsed = parseHubUrl(`${prefix}/owner/name${rest}`, endpoint)
    expect(parsed).toEqual({ ...repository, ...parts, endpoint: expected })
  })
})

describe('an address', () => {
  test.each([
    hub,
    `${hub}/owner`,
    `${hub}/datasets/name`,
    `${hub}/datasets/owner/name`,
    `${hub}/owner/name/discussions`,
    `${hub}/owner/name/tree`,
    `${hub}/owner/name/blob/main/%`,
    `${hub}/owner/name/resolve/main/onnx/`,
    `${hub}/owner/name/resolve/main/onnx/model.safetensors`,
    'https://huggingface.co.example/owner/name',
    'https://mirror.example/owner/name',
    'https://mirror.example/hfs/owner/name',
    'http://mirror.example/hf/owner/name',
    'https://',
  ])('is no page of a repository: %s', (url) => {
    expect(parseHubUrl(url, 'https://mirror.example/hf')).toBeUndefined()
  })

  test.each(['tree/main/onnx', 'blob/main/onnx/model.safetensors'])('of a folder is refused: %s', (rest) => {
    expect(() => parseHubUrl(`${hub}/owner/name/${rest}`, hub)).toThrow(
      /^\[engine\/input\] model: expected a repository, or a \.gguf file of it, got .*owner\/name\/.*onnx/,
    )
  })
})
