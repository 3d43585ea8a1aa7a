// What a caller named as the model → an open model. The one place in a browser that knows all kinds of sources.

import { openGgufModel, openModelStore, type LoadedModel } from '../api/model.ts'
import { isUrl, openRemoteModel } from '../api/remoteModel.ts'
import type { ModelOptions, ModelSource } from '../api/types.ts'
import { RuntimeFault } from '../core/errors.ts'
import { parseHubModelId } from '../weights/remote/hubModel.ts'
import { blobSource, fileStore } from './fileStore.ts'

/** Throws weights/missing where there is no model, and what opening it throws. */
export function openModelSource(source: ModelSource, options: ModelOptions): Promise<LoadedModel> {
  if (typeof source === 'string') return openNamed(source, options)
  if ('open' in source) return openModelStore(source)
  const files = Array.from(source)
  const [file] = files
  if (file !== undefined && files.length === 1 && file.name.endsWith('.gguf')) {
    return openGgufModel(blobSource(file.name, file))
  }
  return openModelStore(fileStore(files))
}

async function openNamed(name: string, options: ModelOptions): Promise<LoadedModel> {
  if (isUrl(name) || parseHubModelId(name) !== undefined) {
    return openRemoteModel(name, { ...options, storage: undefined })
  }
  throw new RuntimeFault('engine/input', {
    where: 'model',
    expected: 'an address, a hub id, files or a FileStore',
    got: JSON.stringify(name),
    fix: 'Write ./name for a folder beside the page, owner/name for a repository of the hub.',
  })
}
