// What is in the weight cache, model by model, and how it gets out. Not here: loading from it (chunkCache.ts).

import { RuntimeFault } from '../../core/errors.ts'
import {
  bytesOfChunks,
  chunkFolder,
  listKey,
  listsFolder,
  manifestKey,
  manifestsFolder,
  readManifests,
  storedChunks,
  writeManifest,
  type ChunkStorage,
  type Manifest,
} from './chunkStorage.ts'
import { isWeightsName } from '../modelFiles.ts'
import { parseHubUrl, type HubAddress } from './hubAddress.ts'
import { parseHubModelId, type HubModelId } from './hubModel.ts'
import type { Hashing } from './sha256.ts'

/** One file of a model in the cache. */
export interface CachedFile {
  /** Inside the model's folder. */
  readonly path: string
  /** Of the whole file. */
  readonly totalBytes: number
  /** Of the file, those that are in the cache. */
  readonly cachedBytes: number
  /** Whether the whole file was compared with the SHA-256 that its server tells; false where it tells none. */
  readonly isVerified: boolean
}

/** A folder on a server, as far as it was loaded. */
export interface CachedModel {
  /** A hub id or an address. */
  readonly model: string
  /** Of a hub repository: branch, tag or commit as it was asked for. */
  readonly revision: string | undefined
  /** Of all its files, those that are in the cache. */
  readonly cachedBytes: number
  /** False while a part of a file, or the weights, are missing. */
  readonly isComplete: boolean
  /** To the minute. */
  readonly lastUsed: Date
  /** By path. */
  readonly files: readonly CachedFile[]
}

/** The weight cache, which all engines of an origin, or of a folder in Node, share. */
export interface ModelCache {
  /** What was used last comes first; nothing where there is no cache. */
  list(): Promise<CachedModel[]>
  /**
   * Removes a model, as `list` or `createEngine` name it, or one of its files (`<model>/<path>`); without a name, all. A hub
   * id without a revision means all revisions. A model without one of its files stays listed, as in part.
   * Resolves with the bytes of files that were freed, 0 where there is no such model. Engines that are loaded keep working.
   * Throws `file/io`.
   */
  delete(model?: string): Promise<number>
}

export const emptyCache: ModelCache = { list: async () => [], delete: async () => 0 }

export function modelCache(
  openStorage: () => Promise<ChunkStorage | undefined>,
  hashing: Hashing,
): ModelCache {
  return {
    list: () =>
      reported('list', async () => {
        const storage = await openStorage()
        const groups = storage === undefined ? [] : await readGroups(storage, hashing)
        // Of others it is only known which files there are.
        return groups.map(({ cached }) => cached).filter(({ cachedBytes }) => cachedBytes > 0)
      }),
    delete: (model) =>
      reported('delete', async () => {
        const storage = await openStorage()
        if (storage === undefined) return 0
        const groups = await readGroups(storage, hashing)
        if (model === undefined) await deleteAll(storage)
        let freed = 0
        for (const { manifests, cached } of groups) {
          const isWhole = model === undefined || isFolder(manifests[0], model)
          const chosen = manifests.filter((manifest) => isWhole || isFile(manifest, model))
          const paths = chosen.map(({ path }) => path)
          for (const { path, cachedBytes } of cached.files) if (paths.includes(path)) freed += cachedBytes
          if (model === undefined || chosen.length === 0) continue
          const isEmptied = cached.files.every(
            ({ path, cachedBytes }) => cachedBytes === 0 || paths.includes(path),
          )
          if (isWhole || isEmptied) await deleteFolder(storage, hashing, manifests)
          else await deleteFiles(storage, hashing, chosen)
        }
        return freed
      }),
  }
}

interface Group {
  readonly manifests: readonly [Manifest, ...Manifest[]]
  readonly cached: CachedModel
}

async function readGroups(storage: ChunkStorage, hashing: Hashing): Promise<Group[]> {
  const byFolder = new Map<string, [Manifest, ...Manifest[]]>()
  for (const manifest of await readManifests(storage, hashing)) {
    const group = byFolder.get(manifest.folder)
    if (group === undefined) byFolder.set(manifest.folder, [manifest])
    else group.push(manifest)
  }
  const groups = await Promise.all(
    [...byFolder.values()].map(async (manifests) => ({
      manifests,
      cached: await describe(storage, hashing, manifests),
    })),
  )
  return groups.sort((a, b) => b.cached.lastUsed.getTime() - a.cached.lastUsed.getTime())
}

async function describe(
  storage: ChunkStorage,
  hashing: Hashing,
  manifests: readonly [Manifest, ...Manifest[]],
): Promise<CachedModel> {
  const files: CachedFile[] = []
  for (const manifest of manifests) {
    if (manifest.kind === 'absent') continue
    const { path, size, isVerified } = manifest
    const chunks = await storedChunks(storage, hashing, manifest)
    files.push({ path, totalBytes: size, cachedBytes: bytesOfChunks(manifest, chunks), isVerified })
  }
  files.sort((a, b) => (a.path < b.path ? -1 : 1))
  const [{ model, revision }] = manifests
  return {
    model,
    revision,
    cachedBytes: files.reduce((sum, { cachedBytes }) => sum + cachedBytes, 0),
    isComplete:
      files.some(({ path }) => isWeightsName(path)) &&
      files.every(({ totalBytes, cachedBytes }) => cachedBytes === totalBytes),
    lastUsed: new Date(Math.max(...manifests.map(({ usedAt }) => usedAt))),
    files,
  }
}

/** Whether a text means the whole folder of a file. */
function isFolder(manifest: Manifest, text: string): boolean {
  const said = hubModelOf(manifest, text)
  return namesOf(manifest).includes(normalised(text)) || (said !== undefined && said.file === undefined)
}

/** Whether a text means this file. */
function isFile(manifest: Manifest, text: string): boolean {
  const { path } = manifest
  return (
    namesOf(manifest).some((name) => `${name}/${path}` === text) || hubModelOf(manifest, text)?.file === path
  )
}

/** What an id or an address means; undefined unless that is of this folder. */
function hubModelOf({ folder, model, revision }: Manifest, text: string): HubModelId | undefined {
  if (revision === undefined) return undefined
  const endpoint = folder.slice(0, -`/${model}@${revision}`.length)
  const address = hubAddressOf(text, endpoint)
  const said = address?.endpoint === endpoint ? address : parseHubModelId(text)
  return said?.id === model && (said.revision ?? revision) === revision ? said : undefined
}

/** Undefined also for a folder inside a repository, of which nothing is ever kept. */
function hubAddressOf(text: string, endpoint: string): HubAddress | undefined {
  try {
    return parseHubUrl(text, endpoint)
  } catch (error) {
    if (error instanceof RuntimeFault && error.code === 'engine/input') return undefined
    throw error
  }
}

/** All that a model's folder may be called. */
function namesOf({ folder, model, revision }: Manifest): string[] {
  const page = revision === undefined ? folder : folder.slice(0, -revision.length - 1)
  return [model, ...(revision === undefined ? [] : [`${model}@${revision}`]), normalised(page)]
}

/** Without a query, which may hold a key that was changed since, and without the slash of a folder. */
function normalised(model: string): string {
  return model.replace(/[?#].*$/, '').replace(/\/+$/, '')
}

async function deleteFolder(
  storage: ChunkStorage,
  hashing: Hashing,
  manifests: readonly [Manifest, ...Manifest[]],
): Promise<void> {
  for (const manifest of manifests) await forget(storage, hashing, manifest)
  await storage.delete(listKey(hashing, manifests[0].folder))
}

/** What is known of them stays: without it their model would seem whole. */
async function deleteFiles(
  storage: ChunkStorage,
  hashing: Hashing,
  manifests: readonly Manifest[],
): Promise<void> {
  for (const manifest of manifests) {
    await forget(storage, hashing, manifest)
    if (manifest.kind === 'file') await writeManifest(storage, hashing, { ...manifest, isVerified: false })
  }
}

async function forget(storage: ChunkStorage, hashing: Hashing, manifest: Manifest): Promise<void> {
  // First: chunks without a manifest are never read.
  await storage.delete(manifestKey(hashing, manifest.folder, manifest.path))
  if (manifest.kind === 'file') await storage.deleteFolder(chunkFolder(hashing, manifest))
}

/** Folders whose names a cache makes, and no others: the place may be shared with other things. */
async function deleteAll(storage: ChunkStorage): Promise<void> {
  const names = await storage.folders()
  const isOwn = (name: string): boolean =>
    name === manifestsFolder || name === listsFolder || /^[0-9a-f]{32}$/.test(name)
  for (const name of names.filter(isOwn).sort((a, b) => b.length - a.length)) await storage.deleteFolder(name)
}

async function reported<T>(what: string, operation: () => Promise<T>): Promise<T> {
  try {
    return await operation()
  } catch (cause) {
    if (cause instanceof RuntimeFault) throw cause
    throw new RuntimeFault('file/io', {
      where: `cache.${what}`,
      expected: 'a cache that can be read and changed',
      got: cause instanceof Error ? cause.message : String(cause),
      fix: 'Check the folder of the cache, or try again when no other tab or process loads a model.',
      cause,
    })
  }
}
