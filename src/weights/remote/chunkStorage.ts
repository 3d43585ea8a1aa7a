// Where a cache keeps its bytes (an interface; node/diskChunks.ts is one), and what it keeps there: manifests, which
// say what a file is, and chunks. Every entry is sealed with a hash of its own.
// Nothing that is read back is trusted: whatever is malformed counts as absent.
import { decodeUtf8 } from '../../core/files.ts'
import { isRecord } from '../../core/values.ts'
import { isCount } from '../checkpoint.ts'
import type { RemoteFolder } from './remoteStore.ts'
import { hexOf, type Hashing } from './sha256.ts'

/**
 * Named pieces of bytes. Keys are `folder/name` of letters, digits and dashes. Any call may reject (a full disk, no
 * permission); the cache then goes on without it.
 */
export interface ChunkStorage {
  /** What was stored, which may lie in `into` where that has room. */
  read(key: string, into?: Uint8Array<ArrayBuffer>): Promise<Uint8Array | undefined>
  /**
   * Stores the parts, one after the other, as one entry. All or nothing: whoever reads at the same time, or after a
   * crash, sees the old bytes or the new ones.
   */
  write(key: string, parts: readonly Uint8Array[]): Promise<void>
  /** Of what is absent: nothing happens. */
  delete(key: string): Promise<void>
  /** Names in a folder; none where there is no such folder. */
  list(folder: string): Promise<string[]>
  /** Names of all folders, among them such as are not of a cache. */
  folders(): Promise<string[]>
  /** Removes a folder and all that is in it. */
  deleteFolder(folder: string): Promise<void>
  /** Bytes that can still be written; undefined where that is not known. */
  freeBytes(): Promise<number | undefined>
}

/** A file of a folder on a server. */
export interface ManifestHead extends RemoteFolder {
  readonly path: string
  /** Milliseconds since 1970, to the minute. */
  readonly usedAt: number
}

/** What a path stands for. */
export type Manifest =
  | ({ readonly kind: 'absent' } & ManifestHead)
  | ({
      readonly kind: 'file'
      /** ETag, date or hash: another one means another content. */
      readonly version: string
      readonly size: number
      readonly chunkBytes: number
      readonly sha256: string | undefined
      /** Whether the whole file has been compared with `sha256`. */
      readonly isVerified: boolean
    } & ManifestHead)

export type FileManifest = Extract<Manifest, { kind: 'file' }>

const formatVersion = 2
const maxManifestBytes = 2 ** 14
const digestBytes = 32

/** Bytes of an entry that holds so many. */
export const sealedBytes = (bytes: number): number => bytes + digestBytes

/** Short names for long keys. */
function nameFor(hashing: Hashing, ...parts: (string | number)[]): string {
  const hash = hashing.createSha256()
  hash.update(new TextEncoder().encode(JSON.stringify(parts)))
  return hexOf(hash.digest()).slice(0, 32)
}

export const manifestsFolder = 'manifests'
export const listsFolder = 'lists'

export function manifestKey(hashing: Hashing, folder: string, path: string): string {
  return `${manifestsFolder}/${nameFor(hashing, folder, path)}`
}

/** Where the list of a hub repository's files is. */
export function listKey(hashing: Hashing, folder: string): string {
  return `${listsFolder}/${nameFor(hashing, folder)}`
}

/** The folder of a file's chunks: another one for each version, so that two of them never mix. */
export function chunkFolder(
  hashing: Hashing,
  { folder, path, version, size, chunkBytes }: FileManifest,
): string {
  return nameFor(hashing, folder, path, version, size, chunkBytes)
}

/** Indices of the chunks of a file that are stored, damaged ones among them. */
export async function storedChunks(
  storage: ChunkStorage,
  hashing: Hashing,
  manifest: FileManifest,
): Promise<Set<number>> {
  const numChunks = Math.ceil(manifest.size / manifest.chunkBytes)
  const names = await storage.list(chunkFolder(hashing, manifest))
  return new Set(names.filter((text) => /^\d+$/.test(text) && Number(text) < numChunks).map(Number))
}

/** Bytes of the file that these chunks hold. */
export function bytesOfChunks({ size, chunkBytes }: FileManifest, chunks: Iterable<number>): number {
  let bytes = 0
  for (const index of chunks) bytes += Math.min(chunkBytes, size - index * chunkBytes)
  return bytes
}

export async function writeManifest(
  storage: ChunkStorage,
  hashing: Hashing,
  manifest: Manifest,
): Promise<void> {
  const text = JSON.stringify({ format: formatVersion, ...manifest })
  const key = manifestKey(hashing, manifest.folder, manifest.path)
  await writeSealed(storage, hashing, key, new TextEncoder().encode(text))
}

/** The manifest of a file; undefined when there is none that makes sense. */
export async function readManifest(
  storage: ChunkStorage,
  hashing: Hashing,
  folder: string,
  path: string,
): Promise<Manifest | undefined> {
  const manifest = await readManifestAt(storage, hashing, manifestKey(hashing, folder, path))
  return manifest?.folder === folder && manifest.path === path ? manifest : undefined
}

/** Every manifest that makes sense. */
export async function readManifests(storage: ChunkStorage, hashing: Hashing): Promise<Manifest[]> {
  const names = await storage.list(manifestsFolder)
  const manifests = await Promise.all(
    names.map((name) => readManifestAt(storage, hashing, `${manifestsFolder}/${name}`)),
  )
  return manifests.filter((manifest) => manifest !== undefined)
}

async function readManifestAt(
  storage: ChunkStorage,
  hashing: Hashing,
  key: string,
): Promise<Manifest | undefined> {
  const bytes = await readSealed(storage, hashing, key)
  return bytes && parseManifest(bytes)
}

export function parseManifest(bytes: Uint8Array): Manifest | undefined {
  if (bytes.byteLength > maxManifestBytes) return undefined
  let json: unknown
  try {
    json = JSON.parse(decodeUtf8(bytes))
  } catch {
    return undefined
  }
  if (!isRecord(json) || json['format'] !== formatVersion) return undefined
  const { kind, folder, path, model, revision, usedAt } = json
  if (typeof folder !== 'string' || typeof path !== 'string' || typeof model !== 'string') return undefined
  if ((revision !== undefined && typeof revision !== 'string') || !isCount(usedAt)) return undefined
  const head = { folder, path, model, revision, usedAt }
  if (kind === 'absent') return { kind, ...head }
  const { version, size, chunkBytes, sha256, isVerified } = json
  if (kind !== 'file' || typeof version !== 'string' || !isCount(size) || !isCount(chunkBytes)) {
    return undefined
  }
  if (chunkBytes < 1 || chunkBytes > 2 ** 28 || (sha256 !== undefined && !isSha256(sha256))) return undefined
  return { kind, ...head, version, size, chunkBytes, sha256, isVerified: isVerified === true }
}

export function isSha256(value: unknown): value is string {
  return typeof value === 'string' && /^[0-9a-f]{64}$/.test(value)
}

/** Stores bytes with a hash of them and of their place. */
export async function writeSealed(
  storage: ChunkStorage,
  hashing: Hashing,
  key: string,
  bytes: Uint8Array,
): Promise<void> {
  await storage.write(key, [bytes, await sealOf(hashing, key, bytes)])
}

/** What was stored; undefined unless it is exactly what was sealed for this key. It may lie in `into`. */
export async function readSealed(
  storage: ChunkStorage,
  hashing: Hashing,
  key: string,
  into?: Uint8Array<ArrayBuffer>,
): Promise<Uint8Array | undefined> {
  const entry = await storage.read(key, into)
  if (entry === undefined || entry.byteLength < digestBytes) return undefined
  const bytes = entry.subarray(0, entry.byteLength - digestBytes)
  const seal = await sealOf(hashing, key, bytes)
  return seal.every((byte, i) => byte === entry[bytes.byteLength + i]) ? bytes : undefined
}

async function sealOf(hashing: Hashing, key: string, bytes: Uint8Array): Promise<Uint8Array> {
  const hash = hashing.createSha256()
  hash.update(await hashing.sha256(bytes))
  hash.update(new TextEncoder().encode(key))
  return hash.digest()
}
