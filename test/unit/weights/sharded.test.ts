import { expect, test } from 'vitest'
import { openCheckpoint } from '../../../src/weights/sharded.ts'
import { memoryStore, type FileStore } from '../../../src/core/files.ts'
import { writeSafetensors } from './writeSafetensors.ts'

const shard = (...names: string[]): Uint8Array =>
  writeSafetensors(
    names.map((name) => ({
      name,
      dtype: 'U8',
      shape: [2],
      bytes: new TextEncoder().encode(name.slice(0, 2)),
    })),
  )

const index = (weightMap: Record<string, unknown>): string =>
  JSON.stringify({ metadata: { total_size: 0 }, weight_map: weightMap })

test('prefers the single file', async () => {
  const store = memoryStore('m', {
    'model.safetensors': shard('aa'),
    'model.safetensors.index.json': 'never read',
  })
  expect([...(await openCheckpoint(store)).tensors.keys()]).toEqual(['aa'])
})

test('joins shards, opens each once and closes them all', async () => {
  const files = memoryStore('m', {
    'unet.safetensors.index.json': index({
      aa: 'x-1.safetensors',
      bb: 'x-2.safetensors',
      cc: 'x-1.safetensors',
    }),
    'x-1.safetensors': shard('aa', 'cc', 'unlisted'),
    'x-2.safetensors': shard('bb'),
  })
  const opened: string[] = []
  const closed: string[] = []
  const store: FileStore = {
    name: 'm',
    async open(path) {
      opened.push(path)
      const source = await files.open(path)
      return (
        source && {
          ...source,
          async close() {
            closed.push(path)
          },
        }
      )
    },
  }
  const checkpoint = await openCheckpoint(store, { stem: 'unet' })
  expect([...checkpoint.tensors.keys()]).toEqual(['aa', 'cc', 'bb'])
  expect(checkpoint.totalBytes).toBe(6)
  expect(checkpoint.tensors.get('bb')?.file).toBe('m/x-2.safetensors')
  expect(new TextDecoder().decode(await checkpoint.read('cc', 0, 2))).toBe('cc')
  await expect(checkpoint.read('unlisted', 0, 1)).rejects.toMatchObject({ code: 'weights/missing' })
  await checkpoint.close()
  expect(opened).toEqual([
    'unet.safetensors',
    'unet.safetensors.index.json',
    'x-1.safetensors',
    'x-2.safetensors',
  ])
  expect(closed.sort()).toEqual(['unet.safetensors.index.json', 'x-1.safetensors', 'x-2.safetensors'])
})

test('says which files it looked for', async () => {
  await expect(openCheckpoint(memoryStore('m', {}))).rejects.toThrow(
    '[weights/missing] m: expected model.safetensors or model.safetensors.index.json, got neither. ' +
      'Point to a folder with safetensors weights; convert .bin or .pth files first.',
  )
})

test.each([
  '../x.safetensors',
  '/x.safetensors',
  'a/x.safetensors',
  'a\\x.safetensors',
  'C:x.safetensors',
  '',
])('refuses the shard name %j', async (file) => {
  const store = memoryStore('m', { 'model.safetensors.index.json': index({ aa: file }), [file]: shard('aa') })
  await expect(openCheckpoint(store)).rejects.toMatchObject({ code: 'weights/format' })
})

test.each([
  ['not JSON', '{', 'file/format'],
  ['no weight_map', '{}'],
  ['an array', '[]'],
  ['an empty weight_map', index({})],
  ['a number as file', index({ aa: 1 })],
])('refuses an index with %s', async (_, text, code = 'weights/format') => {
  const store = memoryStore('m', { 'model.safetensors.index.json': text })
  await expect(openCheckpoint(store)).rejects.toMatchObject({ code })
})

test('a shard or a tensor that the index promises but is not there', async () => {
  const promise = index({ aa: 'x-1.safetensors' })
  const noShard = memoryStore('m', { 'model.safetensors.index.json': promise })
  await expect(openCheckpoint(noShard)).rejects.toMatchObject({ code: 'weights/missing' })
  const noTensor = memoryStore('m', {
    'model.safetensors.index.json': promise,
    'x-1.safetensors': shard('bb'),
  })
  await expect(openCheckpoint(noTensor)).rejects.toMatchObject({ code: 'weights/missing' })
})
