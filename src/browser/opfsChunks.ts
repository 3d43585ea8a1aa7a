// The weight cache of an origin: one file a key in its private file system (OPFS). Works in pages and all kinds of
// workers; a write is swapped in when it is closed, so that other tabs never see half of one.
// Not createSyncAccessHandle: a quarter faster, but for dedicated workers alone, exclusive, and not atomic.
import type { ChunkStorage } from '../weights/remote/chunkStorage.ts'

const rootName = 'tabhopper'

/** Undefined where there is no such file system: without https, in some private windows, in older browsers. */
export async function opfsChunks(): Promise<ChunkStorage | undefined> {
  const storage = navigator.storage as StorageManager | undefined
  const canWrite =
    typeof FileSystemFileHandle !== 'undefined' && 'createWritable' in FileSystemFileHandle.prototype
  if (storage === undefined || !canWrite) return undefined
  try {
    return chunksIn(await storage.getDirectory(), storage)
  } catch {
    return undefined
  }
}

function chunksIn(origin: FileSystemDirectoryHandle, manager: StorageManager): ChunkStorage {
  const root = (): Promise<FileSystemDirectoryHandle> => origin.getDirectoryHandle(rootName, { create: true })
  /** Undefined where there is no such folder. */
  const opened = async (folder: string): Promise<FileSystemDirectoryHandle | undefined> =>
    (await root()).getDirectoryHandle(folder).catch(ignoring('NotFoundError'))

  return {
    async read(key) {
      const [folder, name] = split(key)
      const file = await (
        await opened(folder)
      )
        ?.getFileHandle(name)
        .then((handle) => handle.getFile())
        .catch(ignoring('NotFoundError'))
      const bytes = await file?.arrayBuffer().catch(ignoring('NotFoundError', 'NotReadableError'))
      return bytes && new Uint8Array(bytes)
    },
    async write(key, parts) {
      const [folder, name] = split(key)
      // The folder may go, if another tab empties it, between two calls.
      await retrying('NotFoundError', async () => {
        const inside = await (await root()).getDirectoryHandle(folder, { create: true })
        await writeFile(await inside.getFileHandle(name, { create: true }), parts)
      })
    },
    async delete(key) {
      const [folder, name] = split(key)
      const inside = await opened(folder)
      if (inside === undefined) return
      await removeWhenFree(inside, name)
      // Refused as long as the folder has other files.
      await (await root()).removeEntry(folder).catch(() => undefined)
    },
    async list(folder) {
      return namesIn(await opened(folder), 'file')
    },
    async folders() {
      return namesIn(await root(), 'directory')
    },
    async deleteFolder(folder) {
      await removeWhenFree(await root(), folder, { recursive: true })
    },
    async freeBytes() {
      const { quota, usage } = await manager.estimate()
      return quota === undefined || usage === undefined ? undefined : Math.max(0, quota - usage)
    },
  }
}

async function writeFile(handle: FileSystemFileHandle, parts: readonly Uint8Array[]): Promise<void> {
  const writable = await handle.createWritable()
  try {
    // Never of shared memory.
    for (const part of parts) await writable.write(part as Uint8Array<ArrayBuffer>)
    await writable.close()
  } catch (error) {
    await writable.abort().catch(() => undefined)
    throw error
  }
}

/** Without the swap files, which have an ending, of writes that go on or broke off. */
async function namesIn(
  directory: FileSystemDirectoryHandle | undefined,
  kind: FileSystemHandleKind,
): Promise<string[]> {
  const names: string[] = []
  if (directory === undefined) return names
  for await (const handle of directory.values()) {
    if (handle.kind === kind && /^[\w-]+$/.test(handle.name)) names.push(handle.name)
  }
  return names
}

/** An entry that another tab is writing is locked until it has written. */
function removeWhenFree(
  directory: FileSystemDirectoryHandle,
  name: string,
  options?: FileSystemRemoveOptions,
): Promise<void> {
  return retrying('NoModificationAllowedError', () =>
    directory.removeEntry(name, options).catch(ignoring('NotFoundError')),
  )
}

const attempts = 20
const pauseMs = 50

/** Tries again while the operation fails with an error of this name. */
async function retrying(name: string, operation: () => Promise<void>): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await operation()
    } catch (error) {
      if (attempt === attempts || !(error instanceof DOMException) || error.name !== name) throw error
    }
    await new Promise((resolve) => setTimeout(resolve, pauseMs))
  }
}

/** A handler of rejections: undefined for errors of these names, any other error again. */
function ignoring(...names: readonly string[]): (error: unknown) => undefined {
  return (error) => {
    if (error instanceof DOMException && names.includes(error.name)) return undefined
    throw error
  }
}

function split(key: string): [folder: string, name: string] {
  const at = key.indexOf('/')
  return [key.slice(0, at), key.slice(at + 1)]
}
