// A model folder on disk, for Node entries. Handles are opened on demand and closed with the source or the store.
// Not here: parsing of any file; browsers and HTTP have stores of their own.
import { open, type FileHandle } from 'node:fs/promises'
import { basename, isAbsolute, relative, resolve, sep } from 'node:path'
import { RuntimeFault, throwIfCancelled } from '../core/errors.ts'
import type { ByteSource, FileStore } from '../core/files.ts'

/**
 * The files under `directory`, which errors call `name`. Opening a path that leads out of it is a `file/io` fault, links are
 * followed.
 */
export function directoryStore(directory: string, name: string = basename(resolve(directory))): FileStore {
  const root = resolve(directory)
  const openFiles = new Set<ByteSource>()
  return {
    name,
    async open(path) {
      const handle = await openFile(insidePath(root, path))
      if (handle === undefined) return undefined
      const { size } = await handle.stat()
      const source: ByteSource = {
        name: `${name}/${path}`,
        size,
        read: (offset, length, signal, into) => readAt(handle, path, offset, length, signal, into),
        async close() {
          if (openFiles.delete(source)) await handle.close()
        },
      }
      openFiles.add(source)
      return source
    },
    async close() {
      for (const source of openFiles) await source.close?.()
    },
  }
}

function insidePath(root: string, path: string): string {
  const full = resolve(root, path)
  const fromRoot = relative(root, full)
  if (fromRoot === '' || fromRoot === '..' || fromRoot.startsWith(`..${sep}`) || isAbsolute(fromRoot)) {
    throw new RuntimeFault('file/io', {
      where: root,
      expected: 'a path inside the folder',
      got: path,
      fix: 'Name files relative to the model folder.',
    })
  }
  return full
}

async function openFile(path: string): Promise<FileHandle | undefined> {
  let handle: FileHandle
  try {
    handle = await open(path, 'r')
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined
    throw unreadable(path, code ?? String(cause), cause)
  }
  if ((await handle.stat()).isFile()) return handle
  await handle.close()
  throw unreadable(path, 'something else')
}

/** May return fewer bytes than asked for when the file has shrunk; `readExactly` turns that into a fault. */
async function readAt(
  handle: FileHandle,
  path: string,
  offset: number,
  length: number,
  signal?: AbortSignal,
  into?: Uint8Array,
): Promise<Uint8Array> {
  const bytes =
    into !== undefined && into.byteLength >= length ? into.subarray(0, length) : new Uint8Array(length)
  let filled = 0
  while (filled < length) {
    throwIfCancelled(signal, path)
    // One read is capped by the system at 2 GiB, and may be short.
    const { bytesRead } = await handle.read(
      bytes,
      filled,
      Math.min(length - filled, 2 ** 30),
      offset + filled,
    )
    if (bytesRead === 0) break
    filled += bytesRead
  }
  return bytes.subarray(0, filled)
}

function unreadable(path: string, got: string, cause?: unknown): RuntimeFault {
  return new RuntimeFault('file/io', {
    where: path,
    expected: 'a readable file',
    got,
    fix: 'Check the path and its permissions.',
    cause,
  })
}
