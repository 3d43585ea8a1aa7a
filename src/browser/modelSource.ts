// What a caller named as the model → an open model. The one place in a browser that knows all kinds of sources.

import { openGgufModel, openModelStore, type LoadedModel } from '../api/model.ts'
import { checkModelName } from '../api/modelNames.ts'
import { isUrl, openRemoteModel } from '../api/remoteModel.ts'
import type { EngineOptions, ModelOptions, ModelSource } from '../api/types.ts'
import { RuntimeFault } from '../core/errors.ts'
import { ggufFileOf, ggufFilesAmong, hasGgufMagic, isGgufName } from '../weights/modelFiles.ts'
import { parseHubModelId } from '../weights/remote/hubModel.ts'
import { blobSource, fileStore } from './fileStore.ts'
import { opfsChunks } from './opfsChunks.ts'

type SourceOptions = ModelOptions & Pick<EngineOptions, 'onProgress'>

/** Throws weights/missing where there is no model, and what opening it throws. */
export function openModelSource(source: ModelSource, options: SourceOptions): Promise<LoadedModel> {
  if (typeof source === 'string') return openNamed(source, options)
  return 'open' in source ? openModelStore(source) : openFiles(Array.from(source))
}

async function openFiles(files: readonly File[]): Promise<LoadedModel> {
  const [only] = files.length === 1 ? files : []
  if (only !== undefined) {
    const source = blobSource(only.name, only)
    if (isGgufName(only.name) || (await hasGgufMagic(source))) return openGgufModel(source)
  }
  const store = fileStore(files)
  const ggufNames = await ggufFilesAmong(store, store.paths)
  const file = ggufFileOf(store.name, store.paths, undefined, ggufNames)
  const source = file === undefined ? undefined : await store.open(file)
  return source === undefined ? openModelStore(store) : openGgufModel(source)
}

async function openNamed(name: string, options: SourceOptions): Promise<LoadedModel> {
  if (isUrl(name) || parseHubModelId(name) !== undefined) {
    const storage = options.cache === false ? undefined : await opfsChunks()
    if (storage === undefined && options.cache !== false) options.onNotice?.(noStorage)
    return openRemoteModel(name, { ...options, storage })
  }
  checkModelName(name)
  throw new RuntimeFault('engine/input', {
    where: 'model',
    expected: 'an address, a hub id, files or a FileStore',
    got: JSON.stringify(name),
    fix: 'Write ./name for a folder beside the page, owner/name for a repository of the hub.',
  })
}

const noStorage =
  'There is no place for a weight cache here (it takes https or localhost, and no private window in some browsers); loading goes on without it.'
