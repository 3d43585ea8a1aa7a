// Hostile stored bytes and hostile servers: whatever a manifest, a chunk, a hub's answer or a server's headers say, a
// load gives the bytes of the file or one of our faults, and asks for nothing outside the file.
import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { RuntimeFault } from '../../src/core/errors.ts'
import { readExactly } from '../../src/core/files.ts'
import { cachedStore } from '../../src/weights/remote/chunkCache.ts'
import {
  manifestKey,
  parseManifest,
  writeSealed,
  type ChunkStorage,
} from '../../src/weights/remote/chunkStorage.ts'
import { openHubRepository } from '../../src/weights/remote/hub.ts'
import { httpStore } from '../../src/weights/remote/httpStore.ts'
import { platformNetwork, type Network } from '../../src/weights/remote/network.ts'
import type { RemoteStore } from '../../src/weights/remote/remoteStore.ts'
import { portableHashing as hashing } from '../../src/weights/remote/sha256.ts'
import { MemoryChunks } from '../unit/weights/remote/memoryChunks.ts'

const file = Uint8Array.from({ length: 1000 }, (_, i) => i * 7)
const folder = 'http://host/m/'
const path = 'file'
const encode = (value: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(value))
const genuine = {
  format: 2,
  kind: 'file',
  folder,
  path,
  model: 'http://host/m',
  usedAt: 0,
  version: '"1"',
  size: 1000,
  chunkBytes: 100,
  isVerified: false,
}

/** A folder with one file, that fails on any read outside it. */
const remote: RemoteStore = {
  name: 'm',
  folder,
  model: 'http://host/m',
  revision: undefined,
  open: async () => ({
    name: 'm/file',
    size: file.length,
    version: '"1"',
    sha256: undefined,
    async read(offset, length) {
      if (offset < 0 || offset + length > file.length) throw new Error(`read ${length} at ${offset}`)
      return file.slice(offset, offset + length)
    },
  }),
}
const unreachable: RemoteStore = {
  ...remote,
  async open() {
    throw new RuntimeFault('file/network', { where: 'm', expected: 'a network', got: 'none', fix: 'Wait.' })
  },
}

/** Undefined when reading the whole file gave its bytes or a fault. */
async function complaintAbout(store: RemoteStore, storage: ChunkStorage): Promise<string | undefined> {
  try {
    const source = await cachedStore(store, { storage, hashing, chunkBytes: 100 }).open('file')
    if (source === undefined) return undefined
    const bytes = await readExactly(source, 0, Math.min(source.size, 2000))
    return Buffer.compare(bytes, file) === 0 ? undefined : 'other bytes'
  } catch (error) {
    return error instanceof RuntimeFault && error.code !== 'internal' ? undefined : String(error)
  }
}

/** A storage with the file, and a manifest that is sealed as if it were genuine or just damaged. */
async function storageWith(manifest: Uint8Array, isForged: boolean): Promise<MemoryChunks> {
  const storage = new MemoryChunks()
  await complaintAbout(remote, storage)
  const name = manifestKey(hashing, folder, path)
  if (isForged) await writeSealed(storage, hashing, name, manifest)
  else storage.entries.set(name, manifest)
  return storage
}

const anyValue = fc.oneof(
  fc.anything(),
  fc.constantFrom(0, -1, 1, 99, 100, 101, 2 ** 53, 1e300, '', 'absent'),
)
const hostileManifest = fc.oneof(
  fc.uint8Array(),
  fc.json().map((text) => new TextEncoder().encode(text)),
  fc
    .tuple(fc.constantFrom(...Object.keys(genuine), 'sha256'), anyValue)
    .map(([field, value]) => encodeSafely({ ...genuine, [field]: value })),
)

function encodeSafely(value: unknown): Uint8Array {
  try {
    return encode(value)
  } catch {
    return new Uint8Array(0)
  }
}

test('a genuine manifest is read', () => {
  expect(parseManifest(encode(genuine))).toMatchObject({ kind: 'file', size: 1000, chunkBytes: 100 })
})

test('a hostile manifest never changes what is read', async () => {
  await fc.assert(
    fc.asyncProperty(hostileManifest, async (manifest) => {
      for (const isForged of [true, false])
        expect(await complaintAbout(remote, await storageWith(manifest, isForged))).toBeUndefined()
      expect(await complaintAbout(unreachable, await storageWith(manifest, false))).toBeUndefined()
      // Without the network a forged size is believed; that is all.
      const complaint = await complaintAbout(unreachable, await storageWith(manifest, true))
      expect([undefined, 'other bytes']).toContain(complaint)
    }),
    { numRuns: 300 },
  )
})

test('damaged entries never change what is read', async () => {
  const damage = fc.record({
    entry: fc.nat(10),
    at: fc.nat(200),
    bytes: fc.uint8Array({ minLength: 1, maxLength: 40 }),
    isCut: fc.boolean(),
  })
  await fc.assert(
    fc.asyncProperty(fc.array(damage, { maxLength: 4 }), async (damages) => {
      const storage = new MemoryChunks()
      await complaintAbout(remote, storage)
      for (const { entry, at, bytes, isCut } of damages) {
        const name = [...storage.entries.keys()][entry]!
        const old = storage.entries.get(name)!
        const changed = isCut ? old.slice(0, at) : Uint8Array.from(old)
        changed.set(bytes.subarray(0, Math.max(0, changed.length - at)), Math.min(at, changed.length))
        storage.entries.set(name, changed)
      }
      expect(await complaintAbout(remote, storage)).toBeUndefined()
    }),
    { numRuns: 200 },
  )
})

/** A network that answers everything with one response. */
function answering(answer: () => Response): Network {
  return { ...platformNetwork, sleep: async () => {}, fetch: async () => answer() }
}

const headerText = fc.oneof(
  fc.constantFrom(
    'bytes 0-999/1000',
    'bytes 0-0/1',
    'bytes */0',
    'bytes 5-9/10',
    'bytes 0-9/*',
    '1000',
    '-1',
  ),
  fc.stringMatching(/^[ -~]{0,20}$/),
)
const hostileAnswer = fc.record({
  status: fc.constantFrom(200, 204, 206, 300, 304, 400, 401, 404, 416, 429, 500),
  headers: fc.dictionary(
    fc.constantFrom(
      'content-range',
      'content-length',
      'etag',
      'last-modified',
      'retry-after',
      'content-type',
      'content-encoding',
    ),
    headerText,
  ),
  body: fc.uint8Array({ maxLength: 2000 }),
})

test("a hostile server's headers give a file of the size it tells, or a fault", async () => {
  await fc.assert(
    fc.asyncProperty(hostileAnswer, async ({ status, headers, body }) => {
      const hasBody = ![204, 304].includes(status)
      const network = answering(
        () => new Response(hasBody ? Uint8Array.from(body) : null, { status, headers }),
      )
      const outcome = await outcomeOf(async () => {
        const source = await httpStore('http://host/m', { network }).open('file')
        const length = Math.min(source?.size ?? 0, 1e6)
        return source === undefined || (await readExactly(source, 0, length)).length === length
      })
      expect(outcome).toMatch(/^(true|file\/\w+)$/)
    }),
    { numRuns: 500 },
  )
})

test("a hostile hub's answer gives plain names and whole sizes, or a fault", async () => {
  const list = { sha: 'a'.repeat(40), siblings: [{ rfilename: 'a/b', size: 1, blobId: 'x' }] }
  const answer = fc.oneof(
    fc.json(),
    fc.string(),
    fc
      .tuple(fc.constantFrom('rfilename', 'size', 'blobId', 'lfs'), anyValue)
      .map(([field, value]) =>
        new TextDecoder().decode(
          encodeSafely({ ...list, siblings: [{ ...list.siblings[0], [field]: value }] }),
        ),
      ),
  )
  await fc.assert(
    fc.asyncProperty(answer, async (text) => {
      const outcome = await outcomeOf(async () => {
        const network = answering(() => new Response(text))
        const { files } = await openHubRepository('a/b', { network, hashing })
        return [...files].every(
          ([path, { size }]) =>
            !path.split('/').includes('..') && (size === undefined || Number.isSafeInteger(size)),
        )
      })
      expect(outcome).toMatch(/^(true|file\/format)$/)
    }),
    { numRuns: 500 },
  )
})

/** What a task returned, or the code of its fault. */
async function outcomeOf(task: () => Promise<boolean>): Promise<string> {
  try {
    return String(await task())
  } catch (error) {
    return error instanceof RuntimeFault ? error.code : String(error)
  }
}
