// Files that were dropped or chosen → what can be loaded as a model.

import type { ModelChoice } from './engine.ts'
import { shownFault } from './fault.ts'
import type { Notice } from './notice.ts'

/** A page that loads models and tells of what went wrong. */
interface ModelPage {
  load(choice: ModelChoice): void
  notify(notice: Notice): void
}

/** Loads what was dropped on a page. Must be called within the event. */
export function loadDropped(page: ModelPage, transfer: DataTransfer): void {
  droppedFiles(transfer).then(
    (choice) => choice && page.load(choice),
    (error: unknown) =>
      page.notify({ text: `Could not read what was dropped: ${shownFault(error).message}` }),
  )
}

/** From a file picker, of a folder or of one file. Undefined where nothing was chosen. */
export function chosenFiles(list: ArrayLike<File>): ModelChoice | undefined {
  const files = Array.from(list)
  const [first] = files
  if (first === undefined) return undefined
  const folder = first.webkitRelativePath.split('/')[0]
  // Folders below hold other formats of the same model, or nothing of use.
  const top = files.filter(({ webkitRelativePath }) => webkitRelativePath.split('/').length <= 2)
  return { kind: 'files', label: folder === '' || folder === undefined ? first.name : folder, files: top }
}

/** From a drop: one folder, whose files are taken, or files. Must be called within the event. */
async function droppedFiles(transfer: DataTransfer): Promise<ModelChoice | undefined> {
  const items = Array.from(transfer.items, (item) => item.webkitGetAsEntry())
  const plain = Array.from(transfer.files)
  const directory = items.find((entry) => entry?.isDirectory === true) as FileSystemDirectoryEntry | undefined
  if (directory === undefined) return chosenFiles(plain)
  return { kind: 'files', label: directory.name, files: await filesIn(directory) }
}

async function filesIn(directory: FileSystemDirectoryEntry): Promise<File[]> {
  const reader = directory.createReader()
  const files: File[] = []
  // Entries come in batches; an empty one is the end.
  for (;;) {
    const batch = await new Promise<FileSystemEntry[]>((resolve, reject) =>
      reader.readEntries(resolve, reject),
    )
    if (batch.length === 0) return files
    const plain = batch.filter((entry): entry is FileSystemFileEntry => entry.isFile)
    files.push(...(await Promise.all(plain.map(fileOf))))
  }
}

const fileOf = (entry: FileSystemFileEntry): Promise<File> =>
  new Promise((resolve, reject) => entry.file(resolve, reject))
