// Files that a page was given, by a drop or a file picker, as a model folder. Read by slices, never as a whole.

import { throwIfCancelled } from '../core/errors.ts'
import type { ByteSource, FileStore } from '../core/files.ts'

export interface FileFolder extends FileStore {
  /** Of all its files. */
  readonly paths: readonly string[]
}

/** The files by path, without the name of the folder that they all are in, where paths begin with one. */
export function fileStore(files: readonly File[]): FileFolder {
  const folder = folderOf(files)
  const start = folder === undefined ? 0 : folder.length + 1
  const byPath = new Map(files.map((file) => [pathOf(file).slice(start), file]))
  const name = folder ?? 'files'
  return {
    name,
    paths: [...byPath.keys()],
    async open(path) {
      const file = byPath.get(path)
      return file && blobSource(`${name}/${path}`, file)
    },
  }
}

export function blobSource(name: string, blob: Blob): ByteSource {
  return {
    name,
    size: blob.size,
    async read(offset, length, signal) {
      throwIfCancelled(signal, name)
      return new Uint8Array(await blob.slice(offset, offset + length).arrayBuffer())
    },
  }
}

const pathOf = ({ name, webkitRelativePath }: File): string => webkitRelativePath || name

function folderOf(files: readonly File[]): string | undefined {
  const [folder, ...rest] = new Set(files.map((file) => pathOf(file).split('/', 1)[0]))
  const isCommon = rest.length === 0 && files.every((file) => pathOf(file).includes('/'))
  return isCommon ? folder : undefined
}
