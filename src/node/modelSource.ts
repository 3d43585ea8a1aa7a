// What a caller named as the model → an open model. The one place in Node that knows all kinds of sources; on disk comes
// first. Not here: models on a network (api/remoteModel.ts).

import { readdir, stat } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { openGgufModel, openModelStore, type LoadedModel } from '../api/model.ts'
import { checkModelName } from '../api/modelNames.ts'
import { isUrl, openRemoteModel, type RemoteModelOptions } from '../api/remoteModel.ts'
import { RuntimeFault } from '../core/errors.ts'
import { parseHubModelId } from '../weights/remote/hubModel.ts'
import { ggufFileOf, hasGgufMagic, isGgufName, isPartName } from '../weights/modelFiles.ts'
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
  const file = ggufFileOf(folder, await readdir(folder))
  return file === undefined ? openModelStore(directoryStore(folder), folder) : openFile(join(folder, file))
}

async function openFile(path: string): Promise<LoadedModel> {
  const [folder, file] = [dirname(path), basename(path)]
  const source = await directoryStore(folder).open(file)
  if (source === undefined) throw noFileFault(path)
  try {
    if (isGgufName(file) || (await hasGgufMagic(source))) return await openGgufModel(source)
  } catch (error) {
    await source.close?.()
    throw error
  }
  await source.close?.()
  throw new RuntimeFault('weights/format', {
    where: path,
    expected: 'a GGUF file, or the folder of a model',
    got: isPartName(file) ? 'one file of a folder' : 'a file of another kind',
    fix: isPartName(file) ? `Give ${folder}.` : 'Check the path.',
  })
}

function noFileFault(path: string): RuntimeFault {
  return new RuntimeFault('weights/missing', {
    where: path,
    expected: isGgufName(path) ? 'a GGUF file' : 'a folder or a GGUF file',
    got: 'nothing of that name',
    fix: 'Check the path.',
  })
}
