// What a caller named as the model → an open model. The one place in Node that knows all kinds of sources; on disk comes
// first. Not here: models on a network (api/remoteModel.ts).

import { existsSync } from 'node:fs'
import { readdir, stat } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import { openGgufModel, openModelStore, type LoadedModel } from '../api/model.ts'
import { checkModelName } from '../api/modelNames.ts'
import { isUrl, openRemoteModel, type RemoteModelOptions } from '../api/remoteModel.ts'
import { RuntimeFault } from '../core/errors.ts'
import { parseHubModelId } from '../weights/remote/hubModel.ts'
import { ggufFileOf, ggufFilesAmong, hasGgufMagic, isGgufName, isPartName } from '../weights/modelFiles.ts'
import { directoryStore } from './directoryStore.ts'
import { checkEmbedded, embeddedFolder, unknownNameFault } from './embedded.ts'

export interface NamedModelOptions {
  /** Folder of the embedded models. */
  readonly modelsDir: string
  /** For models on a network; called where one is named. */
  readonly remoteOptions: () => RemoteModelOptions
}

/** Throws engine/input for what can be no name, weights/missing where there is no model, and what opening it throws. */
export async function openNamedModel(
  name: string,
  { modelsDir, remoteOptions }: NamedModelOptions,
): Promise<LoadedModel> {
  if (isUrl(name)) return openRemoteModel(name, remoteOptions())
  const stats = name === '' ? undefined : await stat(name).catch(() => undefined)
  if (stats?.isDirectory() === true) return openFolder(name)
  if (stats !== undefined) return openFile(name)
  checkModelName(name)
  const embedded = embeddedFolder(modelsDir, name)
  if (embedded !== undefined) {
    await checkEmbedded(modelsDir, name)
    return openModelStore(directoryStore(embedded), name)
  }
  if (parseHubModelId(name) !== undefined) return openRemoteModel(name, remoteOptions())
  const isPath = /[/\\]/.test(name) || isGgufName(name)
  throw isPath ? noFileFault(name) : await unknownNameFault(modelsDir, name)
}

async function openFolder(folder: string): Promise<LoadedModel> {
  const store = directoryStore(folder, shownFolder(folder))
  const entries = await readdir(folder, { withFileTypes: true })
  // Not pipes, which would be waited for.
  const paths = entries.filter((entry) => entry.isFile() || entry.isSymbolicLink()).map(({ name }) => name)
  const file = ggufFileOf(folder, paths, undefined, await ggufFilesAmong(store, paths))
  if (file !== undefined) return openFile(join(folder, file))
  return { ...(await openModelStore(store, folder)), name: basename(resolve(folder)) }
}

async function openFile(path: string): Promise<LoadedModel> {
  const [folder, file] = [dirname(path), basename(path)]
  const source = await directoryStore(folder, shownFolder(folder)).open(file)
  if (source === undefined) throw noFileFault(path)
  try {
    if (isGgufName(file) || (await hasGgufMagic(source)))
      return { ...(await openGgufModel(source)), name: `${basename(resolve(folder))}/${file}` }
  } catch (error) {
    await source.close?.()
    throw error
  }
  await source.close?.()
  throw new RuntimeFault('weights/format', {
    where: path,
    expected: 'a GGUF file, or the folder of a model',
    got: isPartName(file) ? 'one file of a folder' : 'a file of another kind',
    fix: isPartName(file) ? folderFix(folder) : 'Check the path.',
  })
}

function folderFix(folder: string): string {
  return existsSync(join(folder, 'config.json'))
    ? `Give the folder ${folder} instead.`
    : `Put config.json and the tokenizer beside it, and give the folder ${folder} instead.`
}

/** As it is found from where the user stands: errors are about files below it. */
function shownFolder(folder: string): string {
  return folder.replace(/(?<=.)\/+$/, '')
}

function noFileFault(path: string): RuntimeFault {
  return new RuntimeFault('weights/missing', {
    where: path,
    expected: isGgufName(path) ? 'a GGUF file' : 'a folder or a GGUF file',
    got: 'nothing of that name',
    fix: 'Check the path.',
  })
}
