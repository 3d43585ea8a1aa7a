// A URL or a hub id → an open model, for every platform: the network, the hash and the storage are passed in.
// Not here: folders that are at hand (model.ts).

import { RuntimeFault } from '../core/errors.ts'
import type { FileStore } from '../core/files.ts'
import { shown } from '../core/values.ts'
import { ggufFileOf, isGgufName, isPartName, pipelineFault } from '../weights/modelFiles.ts'
import { cachedStore, type ChunkCacheOptions } from '../weights/remote/chunkCache.ts'
import type { ChunkStorage } from '../weights/remote/chunkStorage.ts'
import { openHubRepository } from '../weights/remote/hub.ts'
import { defaultEndpoint, parseHubUrl, type HubAddress } from '../weights/remote/hubAddress.ts'
import { parseHubModelId } from '../weights/remote/hubModel.ts'
import { httpStore, splitFileUrl } from '../weights/remote/httpStore.ts'
import { platformNetwork, type Network } from '../weights/remote/network.ts'
import { portableHashing, type Hashing } from '../weights/remote/sha256.ts'
import { TransferMeter, type TransferProgress } from '../weights/remote/transferMeter.ts'
import { openGgufModel, openModelStore, type LoadedModel } from './model.ts'
import { inputFault } from './options.ts'
import type { ModelOptions } from './types.ts'

export interface RemoteModelOptions extends Pick<ModelOptions, 'revision' | 'token' | 'signal' | 'onNotice'> {
  /** Where files are kept; undefined: nowhere. */
  readonly storage: ChunkStorage | undefined
  readonly onProgress?: ((progress: TransferProgress) => void) | undefined
  /** For the hub at `endpoint`, where `token` is not given. */
  readonly hubToken?: string | undefined
  /** Address of the hub. Default https://huggingface.co. */
  readonly endpoint?: string | undefined
  readonly network?: Network
  readonly hashing?: Hashing
}

/** Whether a text can only mean something on a network. */
export function isUrl(model: string): boolean {
  return /^https?:\/\//i.test(model)
}

/**
 * Opens `http(s)://…` (a folder in the layout of Hugging Face, a .gguf file, or the page of a hub repository or its file),
 * `owner/name` or `owner/name/file.gguf`, both with `@revision` behind the name. Only headers, configuration and tokenizer
 * are read.
 * Throws `weights/*`, `model/*` and `file/*` faults.
 */
export async function openRemoteModel(model: string, options: RemoteModelOptions): Promise<LoadedModel> {
  const { hashing = portableHashing, network = platformNetwork, storage, signal, onNotice } = options
  const meter = options.onProgress && new TransferMeter(options.onProgress)
  const cache: ChunkCacheOptions = { storage, hashing, signal, onNotice, meter }
  const endpoint = (options.endpoint ?? defaultEndpoint).replace(/\/+$/, '')
  const address = hubAddressOf(model, endpoint)
  if (address !== undefined) {
    const repository = await openHubRepository(address.id, {
      network,
      hashing,
      storage,
      endpoint: address.endpoint,
      signal,
      revision: revisionOf(address, options),
      token: options.token ?? (address.endpoint === endpoint ? options.hubToken : undefined),
    })
    const { id, files, store } = repository
    return openStore(cachedStore(store, cache), id, ggufFileOf(id, [...files.keys()], address.file))
  }
  const { folder, file } = splitFileUrl(model)
  if (isPartName(file)) throw partFault(file, folder)
  const isGguf = isGgufName(file)
  const remote = httpStore(isGguf ? folder : model, { network, signal, token: options.token })
  return openStore(cachedStore(remote, cache), remote.model, isGguf ? file : undefined)
}

function hubAddressOf(model: string, endpoint: string): HubAddress | undefined {
  if (isUrl(model)) return parseHubUrl(model, endpoint)
  const id = parseHubModelId(model)
  return id && { endpoint, ...id }
}

/** Throws engine/input where the model's name says another revision than the option. */
function revisionOf({ id, revision }: HubAddress, options: RemoteModelOptions): string | undefined {
  if (revision === undefined || options.revision === undefined || options.revision === revision)
    return revision ?? options.revision
  throw inputFault('revision', `${revision}, as the name of ${id} says, or none`, options.revision)
}

async function openStore(
  store: FileStore,
  where: string,
  ggufFile: string | undefined,
): Promise<LoadedModel> {
  if (ggufFile === undefined) return openFolder(store, where)
  const source = await store.open(ggufFile)
  if (source !== undefined) return openGgufModel(source)
  throw new RuntimeFault('weights/missing', {
    where: `${where}/${ggufFile}`,
    expected: 'a GGUF file',
    got: 'no such file',
    fix: 'Check the address.',
  })
}

/** There is no list of the files behind an address: what a folder is shows in what it has. */
async function openFolder(store: FileStore, where: string): Promise<LoadedModel> {
  try {
    return await openModelStore(store, where)
  } catch (error) {
    const isMissing = error instanceof RuntimeFault && error.code === 'weights/missing'
    const index = isMissing ? await store.open('model_index.json').catch(() => undefined) : undefined
    await index?.close?.()
    throw index === undefined ? error : pipelineFault(where)
  }
}

function partFault(file: string, folder: string): RuntimeFault {
  return new RuntimeFault('engine/input', {
    where: 'model',
    expected: 'the address of a folder or of a .gguf file',
    got: `that of ${shown(file)}, one file of a folder`,
    fix: `Give ${folder}.`,
  })
}
