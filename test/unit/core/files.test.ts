// The store helpers in memory, and the same contract on disk.
import { mkdtemp, mkdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { directoryStore } from '../../../src/node/directoryStore.ts'
import { memorySource, memoryStore, readExactly, readJson, readText } from '../../../src/core/files.ts'

const files = {
  'config.json': '{"a":[1]}',
  'bad.json': '{',
  'text.txt': 'é',
  'latin1.txt': Uint8Array.of(0xe9),
}
let folder = ''

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tabhopper-store-'))
  await mkdir(join(folder, 'sub'))
  for (const [name, content] of Object.entries(files)) await writeFile(join(folder, name), content)
  await writeFile(join(folder, 'sub', 'x.bin'), Uint8Array.of(1, 2, 3, 4))
})
afterAll(() => rm(folder, { recursive: true }))

test.each(['memory', 'disk'])('reads text and JSON from %s', async (kind) => {
  const store = kind === 'memory' ? memoryStore('m', files) : directoryStore(folder)
  expect(await readJson(store, 'config.json', 100)).toEqual({ a: [1] })
  expect(await readText(store, 'text.txt', 2)).toBe('é')
  expect(await readText(store, 'absent.txt', 2)).toBeUndefined()
  expect(await readJson(store, 'absent.json', 2)).toBeUndefined()
  await expect(readText(store, 'text.txt', 1)).rejects.toMatchObject({ code: 'file/format' })
  await expect(readText(store, 'latin1.txt', 9)).rejects.toMatchObject({ code: 'file/format' })
  await expect(readJson(store, 'bad.json', 9)).rejects.toMatchObject({ code: 'file/format' })
  await store.close?.()
})

test('a folder gives ranges of files below it and nothing above', async () => {
  const store = directoryStore(folder)
  const source = await store.open('sub/x.bin')
  expect(source?.size).toBe(4)
  expect([...(await readExactly(source!, 1, 2))]).toEqual([2, 3])
  const into = new Uint8Array(3)
  expect((await readExactly(source!, 1, 2, undefined, into)).buffer).toBe(into.buffer)
  expect([...into]).toEqual([2, 3, 0])
  expect([...(await readExactly(source!, 0, 4, undefined, into))]).toEqual([1, 2, 3, 4])
  await expect(readExactly(source!, 3, 2)).rejects.toMatchObject({ code: 'file/io' })
  await expect(readExactly(source!, 0, 1, AbortSignal.abort())).rejects.toMatchObject({
    code: 'engine/cancelled',
  })
  for (const path of ['../x', '/etc/passwd', 'sub/../../x', '', '.', 'sub']) {
    await expect(store.open(path)).rejects.toMatchObject({ code: 'file/io' })
  }
  await store.close?.()
  await source?.close?.()
  await expect(readExactly(source!, 0, 1)).rejects.toMatchObject({ code: 'file/io' })
})

test('a failing source becomes a fault with its cause', async () => {
  const cause = new Error('EIO')
  const source = { ...memorySource('f', new Uint8Array(4)), read: () => Promise.reject(cause) }
  await expect(readExactly(source, 0, 4)).rejects.toMatchObject({ code: 'file/io', cause })
})
