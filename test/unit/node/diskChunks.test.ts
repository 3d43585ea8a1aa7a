// The weight cache's folder: whole files or none, whoever else writes there, and where it is.

import { mkdtemp, mkdir, readdir, rm, statfs, utimes, writeFile } from 'node:fs/promises'
import { homedir, tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { defaultCacheDir, diskChunks } from '../../../src/node/diskChunks.ts'

let root = ''
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'tabhopper-chunks-'))
})
afterEach(() => rm(root, { recursive: true, force: true }))

const bytes = (...values: number[]): Uint8Array[] => values.map((value) => Uint8Array.of(value))

test('keeps, lists, replaces and deletes', async () => {
  const chunks = diskChunks(join(root, 'new'))
  expect(await chunks.read('a/1')).toBeUndefined()
  expect(await chunks.list('a')).toEqual([])
  await chunks.delete('a/1')
  await chunks.write('a/1', bytes(1, 2))
  expect([...(await chunks.read('a/1'))!]).toEqual([1, 2])
  await chunks.write('a/2', bytes())
  await chunks.write('a/1', bytes(3))
  expect([...(await chunks.read('a/1'))!]).toEqual([3])
  expect([...(await chunks.read('a/2'))!]).toEqual([])
  expect((await chunks.list('a')).sort()).toEqual(['1', '2'])
  await chunks.delete('a/1')
  await chunks.delete('a/2')
  expect(await chunks.list('a')).toEqual([])
  // An empty folder goes with its last file.
  expect(await readdir(join(root, 'new'))).toEqual([])
})

test('two that write, read and delete the same keys at once see whole files', async () => {
  const [a, b] = [diskChunks(root), diskChunks(root)]
  const long = (value: number): Uint8Array[] => [new Uint8Array(4e6).fill(value)]
  await a.write('f/0', long(1))
  const seen: Uint8Array[] = []
  await Promise.all(
    Array.from({ length: 40 }, async (_, i) => {
      await (i % 2 === 0 ? a : b).write('f/0', long(i))
      seen.push(...(await Promise.all([a.read('f/0'), b.read('f/0')])).filter((read) => read !== undefined))
      if (i % 10 === 0) await a.delete('f/0')
    }),
  )
  expect(seen.length).toBeGreaterThan(10)
  for (const each of seen) {
    expect(each).toHaveLength(4e6)
    expect(Buffer.compare(each, new Uint8Array(4e6).fill(each[0]!)) === 0).toBe(true)
  }
  const left = await readdir(root, { recursive: true })
  expect(left.filter((name) => name.endsWith('.tmp'))).toEqual([])
})

test('one that empties a folder does not disturb one that writes into it', async () => {
  const loop = async (key: string): Promise<void> => {
    const chunks = diskChunks(root)
    for (let i = 0; i < 200; i++) {
      await chunks.write(key, bytes(i))
      expect([...(await chunks.read(key))!]).toEqual([i])
      await chunks.delete(key)
    }
  }
  await Promise.all([loop('f/0'), loop('f/1'), loop('f/2')])
})

test('a write that breaks off in the middle leaves what was there', async () => {
  const chunks = diskChunks(root)
  await chunks.write('f/0', bytes(1, 2))
  await expect(chunks.write('f/0', [Uint8Array.of(3), 'no bytes' as never, 4 as never])).rejects.toThrow(
    /must be/,
  )
  expect([...(await chunks.read('f/0'))!]).toEqual([1, 2])
  expect(await readdir(join(root, 'f'))).toEqual(['0'])
})

test('hides half-written files, and removes those that were left long ago', async () => {
  await mkdir(join(root, 'f'))
  for (const name of ['0.old.tmp', '0.young.tmp']) await writeFile(join(root, 'f', name), 'x')
  await utimes(join(root, 'f/0.old.tmp'), 1e9, 1e9)
  const chunks = diskChunks(root)
  expect(await chunks.list('f')).toEqual([])
  await chunks.write('f/1', bytes(1))
  expect((await readdir(join(root, 'f'))).sort()).toEqual(['0.young.tmp', '1'])
})

test('tells the free bytes of its disk, before there is a folder, too', async () => {
  const free = await diskChunks(join(root, 'new/folder')).freeBytes()
  const { bavail, bsize } = await statfs(root)
  expect(Math.abs(free! - bavail * bsize)).toBeLessThan(2 ** 30)
})

test('a write that fails leaves nothing behind', async () => {
  const chunks = diskChunks(root)
  // A folder in the way of the file.
  await mkdir(join(root, 'f/0'), { recursive: true })
  await expect(chunks.write('f/0', bytes(1))).rejects.toThrow(/EISDIR|ENOTEMPTY|EEXIST/)
  expect(await readdir(join(root, 'f'))).toEqual(['0'])
  await writeFile(join(root, 'file'), 'x')
  await expect(diskChunks(join(root, 'file')).write('f/0', bytes(1))).rejects.toThrow(/ENOTDIR|EEXIST/)
})

test.each([
  [{ TABHOPPER_CACHE: '/own', XDG_CACHE_HOME: '/xdg' }, '/own'],
  [{ XDG_CACHE_HOME: '/xdg' }, '/xdg/tabhopper'],
  [{ TABHOPPER_CACHE: '', XDG_CACHE_HOME: '' }, join(homedir(), '.cache/tabhopper')],
  [{}, join(homedir(), '.cache/tabhopper')],
])('with %j is at %s', (env, dir) => expect(defaultCacheDir(env)).toBe(dir))
