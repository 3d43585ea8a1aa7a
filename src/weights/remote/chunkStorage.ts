// Where a cache keeps its bytes (an interface; node/diskChunks.ts is one), and what it keeps there: manifests, which
// say what a file is, and chunks. Every entry is sealed with a hash of its own.
// Nothing that is read back is trusted: whatever is malformed counts as absent.
import { decodeUtf8, isRecord } from '../../core/files.ts'
import { isCount } from '../checkpoint.ts'
import { hexOf, type Hashing } from './sha256.ts'

/**
 * Named pieces of bytes. Keys are `folder/name` of letters, digits and dashes. Any call may reject (a full disk, no
 * permission); the cache then goes on without it.
 */
export interface ChunkStorage {
  read(key: string): Promise<Uint8Array | undefined>
  /**
   * Stores the parts, one after the other, as one entry. All or nothing: whoever reads at the same time, or after a
   * crash, sees the old bytes or the new ones.
   */
  write(key: string, parts: readonly Uint8Array[]): Promise<void>
  /** Of what is absent: nothing happens. */
  delete(key: string): Promise<void>
  /** Names in a folder; none where there is no such folder. */
  list(folder: string): Promise<string[]>
}

/** What a URL stands for. */
export type Manifest =
  | { readonly kind: 'absent'; readonly key: string }
  | {
      readonly kind: 'file'
      readonly key: string
      /** ETag, date or hash: another one means another content. */
      readonly version: string
      readonly size: number
      readonly chunkBytes: number
      readonly sha256: string | undefined
      /** Whether the whole file has been compared with `sha256`. */
      readonly isVerified: boolean
    }

export type FileManifest = Extract<Manifest, { kind: 'file' }>

const formatVersion = 1
const maxManifestBytes = 2 ** 14
const digestBytes = 32

/** Short names for long keys. */
export function nameFor(hashing: Hashing, ...parts: (string | number)[]): string {
  const hash = hashing.createSha256()
  hash.update(new TextEncoder().encode(JSON.stringify(parts)))
  return hexOf(hash.digest()).slice(0, 32)
}

export function manifestKey(hashing: Hashing, key: string): string {
  return `manifests/${nameFor(hashing, key)}`
}

/** The folder of a file's chunks: another one for each version, so that two of them never mix. */
export function chunkFolder(hashing: Hashing, { key, version, size, chunkBytes }: FileManifest): string {
  return nameFor(hashing, key, version, size, chunkBytes)
}

export async function writeManifest(
  storage: ChunkStorage,
  hashing: Hashing,
  manifest: Manifest,
): Promise<void> {
  const text = JSON.stringify({ format: formatVersion, ...manifest })
  await writeSealed(storage, hashing, manifestKey(hashing, manifest.key), new TextEncoder().encode(text))
}

/** The manifest for a key; undefined when there is none that makes sense. */
export async function readManifest(
  storage: ChunkStorage,
  hashing: Hashing,
  key: string,
): Promise<Manifest | undefined> {
  const bytes = await readSealed(storage, hashing, manifestKey(hashing, key))
  const manifest = bytes === undefined ? undefined : parseManifest(bytes)
  return manifest?.key === key ? manifest : undefined
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
  const { kind, key, version, size, chunkBytes, sha256, isVerified } = json
  if (typeof key !== 'string') return undefined
  if (kind === 'absent') return { kind, key }
  if (kind !== 'file' || typeof version !== 'string' || !isCount(size) || !isCount(chunkBytes)) {
    return undefined
  }
  if (chunkBytes < 1 || chunkBytes > 2 ** 28 || (sha256 !== undefined && !isSha256(sha256))) return undefined
  return { kind, key, version, size, chunkBytes, sha256, isVerified: isVerified === true }
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

/** What was stored; undefined unless it is exactly what was sealed for this key. */
export async function readSealed(
  storage: ChunkStorage,
  hashing: Hashing,
  key: string,
): Promise<Uint8Array | undefined> {
  const entry = await storage.read(key)
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
