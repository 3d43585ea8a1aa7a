// The weight cache in a folder: one file a key. Writes go to a file beside it that is then renamed, so that readers and
// other processes never see half of one.
import { mkdir, open, readFile, readdir, rename, rm, rmdir, stat, statfs, writeFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { randomUUID } from 'node:crypto'
import type { ChunkStorage } from '../weights/remote/chunkStorage.ts'

/** `$TABHOPPER_CACHE`, else `$XDG_CACHE_HOME/tabhopper`, else `~/.cache/tabhopper`. */
export function defaultCacheDir(env: Readonly<Record<string, string | undefined>>): string {
  const own = env['TABHOPPER_CACHE'] ?? ''
  if (own !== '') return own
  const xdg = env['XDG_CACHE_HOME'] ?? ''
  return join(xdg === '' ? join(homedir(), '.cache') : xdg, 'tabhopper')
}

/** Half-written files of processes that died are removed after this time. */
const abandonedMs = 60 * 60 * 1000

/** Keeps chunks under `directory`, which is made when it is first written to. */
export function diskChunks(directory: string): ChunkStorage {
  const swept = new Set<string>()
  return {
    read: (key, into) => readWhole(join(directory, key), into).catch(ignoreMissing),
    async write(key, parts) {
      const path = join(directory, key)
      const folder = dirname(path)
      if (!swept.has(folder)) {
        swept.add(folder)
        await sweep(folder)
      }
      const draft = `${path}.${randomUUID()}.tmp`
      try {
        await writeDraft(draft, parts)
        await rename(draft, path)
      } catch (error) {
        await rm(draft, { force: true })
        throw error
      }
    },
    async delete(key) {
      const path = join(directory, key)
      await rm(path, { force: true })
      // Fails as long as the folder has other files.
      await rmdir(dirname(path)).catch(() => {})
    },
    async list(folder) {
      const names = (await readdir(join(directory, folder)).catch(ignoreMissing)) ?? []
      return names.filter((name) => !name.endsWith('.tmp'))
    },
    async folders() {
      const entries = (await readdir(directory, { withFileTypes: true }).catch(ignoreMissing)) ?? []
      return entries.filter((entry) => entry.isDirectory()).map(({ name }) => name)
    },
    deleteFolder: (folder) => rm(join(directory, folder), { recursive: true, force: true, maxRetries: 5 }),
    async freeBytes() {
      const { bavail, bsize } = await statfs(await existing(directory))
      return bavail * bsize
    },
  }
}

/** The folder, or the nearest one above that is there. */
async function existing(path: string): Promise<string> {
  for (let at = resolve(path); ; at = dirname(at)) {
    if (at === dirname(at) || (await stat(at).catch(() => undefined)) !== undefined) return at
  }
}

async function readWhole(path: string, into: Uint8Array<ArrayBuffer> | undefined): Promise<Uint8Array> {
  if (into === undefined) return readFile(path)
  await using file = await open(path, 'r')
  const { size } = await file.stat()
  if (size > into.byteLength) return file.readFile()
  let filled = 0
  while (filled < size) {
    const { bytesRead } = await file.read(into, filled, size - filled, filled)
    if (bytesRead === 0) break
    filled += bytesRead
  }
  return into.subarray(0, filled)
}

async function writeDraft(draft: string, parts: readonly Uint8Array[]): Promise<void> {
  // The folder may go, if another process empties it, between the two calls.
  for (let attempt = 1; ; attempt++) {
    try {
      await mkdir(dirname(draft), { recursive: true })
      return await writeFile(draft, parts)
    } catch (error) {
      if (attempt === 20 || codeOf(error) !== 'ENOENT') throw error
    }
  }
}

async function sweep(folder: string): Promise<void> {
  const names = (await readdir(folder).catch(ignoreMissing)) ?? []
  for (const name of names.filter((name) => name.endsWith('.tmp'))) {
    const path = join(folder, name)
    const details = await stat(path).catch(ignoreMissing)
    if (details !== undefined && Date.now() - details.mtimeMs > abandonedMs) await rm(path, { force: true })
  }
}

function ignoreMissing(error: unknown): undefined {
  if (codeOf(error) === 'ENOENT') return undefined
  throw error
}

function codeOf(error: unknown): string | undefined {
  return (error as NodeJS.ErrnoException).code
}
