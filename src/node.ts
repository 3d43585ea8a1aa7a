// The library in Node: the public API over Dawn or the reference device, with models from directories, URLs and hubs.

import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { orderedProgress } from './api/loadProgress.ts'
import { createEngineOn, type LoadedModel, type LoadOptions, type OpenedModel } from './api/model.ts'
import { checkLoadOptions, withSafeListeners } from './api/loadOptions.ts'
import { checkChoice, checkTypes, inputFault } from './api/options.ts'
import { isUrl, type RemoteModelOptions } from './api/remoteModel.ts'
import type { Engine, EngineOptions, ModelCache, ModelOptions } from './api/types.ts'
import { RuntimeFault, type FaultCode, type FaultDetail } from './core/errors.ts'
import { openDawnDevice } from './device/dawn/dawn.ts'
import type { Device } from './device/device.ts'
import { createReferenceDevice } from './device/reference/reference.ts'
import { softwareBudget } from './engine/memoryPlan.ts'
import { defaultCacheDir, diskChunks } from './node/diskChunks.ts'
import { nodeHashing } from './node/hashing.ts'
import { openNamedModel } from './node/modelSource.ts'
import { steadyNetwork } from './node/steadyFetch.ts'
import { modelCache as modelCacheIn } from './weights/remote/modelCache.ts'

export type * from './api/types.ts'
export type { LoadedModel } from './api/model.ts'
export { CancelledFault } from './api/cancelledFault.ts'
export { RuntimeFault, type FaultCode, type FaultDetail }

export interface NodeModelOptions extends ModelOptions {
  /** Folder of the cache. Default: $TABHOPPER_CACHE, else $XDG_CACHE_HOME/tabhopper, else ~/.cache/tabhopper. */
  cacheDir?: string
}

export interface NodeEngineOptions extends EngineOptions, NodeModelOptions {
  /**
   * The name of an embedded model such as `tiny-llama`; a directory; a GGUF file; the URL of a folder or a .gguf file;
   * or a hub id, `owner/name` or `owner/name/file.gguf`. What exists on disk comes first.
   */
  model: string
  /** `reference` computes in f64 on the CPU: exact and slow. Default webgpu. */
  device?: 'webgpu' | 'reference'
  /** Part of an adapter's name; default: what Dawn prefers. */
  adapter?: string
}

/**
 * Opens a model's configuration, weights and tokenizer, without a device. Weights are read when they are wanted: of a
 * model on a network only the headers have been fetched.
 */
export async function openModel(
  model: string,
  options: NodeModelOptions & Pick<EngineOptions, 'onProgress'> = {},
): Promise<LoadedModel> {
  if (typeof model !== 'string') throw inputFault('model', 'a name, path, address or hub id', model)
  return openNamedModel(model, { modelsDir, remoteOptions: () => remoteOptions(withSafeListeners(options)) })
}

// Not `new URL(…, import.meta.url)`: bundlers take that for an asset.
const modelsDir = join(dirname(fileURLToPath(import.meta.url)), '../public/models')

function remoteOptions({
  cache,
  cacheDir,
  ...options
}: NodeModelOptions & Pick<EngineOptions, 'onProgress'>): RemoteModelOptions {
  const { env } = process
  return {
    ...options,
    storage: cache === false ? undefined : diskChunks(cacheDir ?? defaultCacheDir(env)),
    hashing: nodeHashing,
    network: steadyNetwork,
    // As the tools of Hugging Face have it; a token from the environment goes to the hub alone.
    hubToken: nonEmpty(env['HF_TOKEN']),
    endpoint: endpointOf(env['HF_ENDPOINT']),
  }
}

/** Throws engine/input for what is no address. */
function endpointOf(text: string | undefined): string | undefined {
  const endpoint = nonEmpty(text)
  if (endpoint === undefined || (isUrl(endpoint) && URL.canParse(endpoint))) return endpoint
  throw inputFault('HF_ENDPOINT', 'the http or https address of a hub', endpoint)
}

function nonEmpty(text: string | undefined): string | undefined {
  return text === '' ? undefined : text
}

/** The weight cache on disk, without an engine: the same as `Engine.cache`. */
export function modelCache({ cacheDir }: Pick<NodeModelOptions, 'cacheDir'> = {}): ModelCache {
  const storage = diskChunks(cacheDir ?? defaultCacheDir(process.env))
  return modelCacheIn(async () => storage, nodeHashing)
}

/** Loads a model. Throws engine/input, weights/*, model/*, device/* faults; on failure nothing stays allocated. */
export async function createEngine(all: NodeEngineOptions): Promise<Engine> {
  const checked = checkLoadOptions(all)
  checkChoice('device', checked.device ?? 'webgpu', ['webgpu', 'reference'])
  checkTypes(checked, 'string', ['adapter', 'cacheDir'])
  const { onProgress, ...given } = checked
  const options: NodeEngineOptions = {
    ...given,
    ...(onProgress && { onProgress: orderedProgress(onProgress) }),
  }
  const { device, model } = await openBoth(options)
  try {
    const allOptions = { ...options, ...defaultBudget(device) }
    // Progress is of the first load alone.
    const reopen = (signal: AbortSignal): Promise<OpenedModel> => openBoth({ ...given, signal })
    return await createEngineOn(device, model, allOptions, reopen, modelCache(options))
  } finally {
    await model.close()
  }
}

async function openBoth(options: NodeEngineOptions): Promise<OpenedModel> {
  const model = await openModel(options.model, options)
  try {
    const device =
      options.device === 'reference'
        ? createReferenceDevice()
        : await openDawnDevice({ adapter: options.adapter })
    return { device, model }
  } catch (error) {
    await model.close()
    throw error
  }
}

/**
 * Where the adapter computes in the host's memory, of which a container may have less than is free; the reference device
 * is for small models only.
 */
function defaultBudget({ name, adapter }: Device): Pick<LoadOptions, 'freeMemory'> {
  if (name === 'reference' || !adapter.isSoftware) return {}
  return { freeMemory: softwareBudget(process.availableMemory()) }
}
