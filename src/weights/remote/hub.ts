// Repositories of a Hugging Face hub: an id such as `owner/name` and a revision → a commit, its files, a RemoteStore.
// Not here: choosing among the files (../modelFiles.ts), keeping them (chunkCache.ts).
import { RuntimeFault } from '../../core/errors.ts'
import { decodeUtf8 } from '../../core/files.ts'
import { isRecord, shown } from '../../core/values.ts'
import { isCount } from '../checkpoint.ts'
import { isSha256, listKey, readSealed, writeSealed, type ChunkStorage } from './chunkStorage.ts'
import { defaultEndpoint } from './hubAddress.ts'
import { accessFault, isPassing, knownHttpFile, openHttpFile } from './httpSource.ts'
import { Retryable, bodyOf, retryAfterMsOf, retrying, type Network, type NetworkResponse } from './network.ts'
import type { RemoteStore } from './remoteStore.ts'
import type { Hashing } from './sha256.ts'

export interface HubOptions {
  readonly network: Network
  readonly hashing: Hashing
  /** A branch, tag or commit. Default main. */
  readonly revision?: string | undefined
  /** For private and gated repositories; sent to the endpoint, and nowhere else. */
  readonly token?: string | undefined
  /** Default https://huggingface.co. */
  readonly endpoint?: string | undefined
  readonly signal?: AbortSignal | undefined
  /** Remembers the list of files, for loads without a network. */
  readonly storage?: ChunkStorage | undefined
}

interface HubFile {
  /** Undefined where the hub does not tell. */
  readonly size: number | undefined
  /** Changes with the content. */
  readonly version: string | undefined
  readonly sha256: string | undefined
}

export interface HubRepository {
  readonly id: string
  /** 40 hexadecimal digits. */
  readonly commit: string
  readonly files: ReadonlyMap<string, HubFile>
  readonly store: RemoteStore
}

/** A list of files is about 300 bytes a file. */
const maxListBytes = 32 * 2 ** 20
const listAttempts = 4

/**
 * Resolves a revision and lists its files. Throws `weights/missing` for repositories and revisions that are not there,
 * `file/access` for those that need a token, `file/network`, `file/format` for an answer that makes no sense.
 */
export async function openHubRepository(id: string, options: HubOptions): Promise<HubRepository> {
  const { revision = 'main' } = options
  const endpoint = (options.endpoint ?? defaultEndpoint).replace(/\/+$/, '')
  const { commit, files } = await listFiles(id, revision, endpoint, options)
  const urlOf = (path: string): string => `${endpoint}/${id}/resolve/${commit}/${encodePath(path)}`
  const accessFix = `Accept its terms at ${endpoint}/${id} if it has any, and give a token that may read it (option \`token\`, flag --token, or HF_TOKEN).`
  const store: RemoteStore = {
    name: id,
    // By the name of the revision, so that a new commit replaces what it changed and keeps the rest.
    folder: folderOf(endpoint, id, revision),
    model: id,
    revision,
    async open(path, { hasCopy } = {}) {
      const file = files.get(path)
      if (file === undefined) return undefined
      const name = `${id}/${path}`
      const { size, version, sha256 } = file
      const fileOptions = { ...options, accessFix, hasCopy }
      return size === undefined || version === undefined
        ? openHttpFile(urlOf(path), name, fileOptions)
        : knownHttpFile(urlOf(path), name, { size, version, sha256 }, fileOptions)
    },
  }
  return { id, commit, files, store }
}

function folderOf(endpoint: string, id: string, revision: string): string {
  return `${endpoint}/${id}@${revision}`
}

interface FileList {
  readonly commit: string
  readonly files: ReadonlyMap<string, HubFile>
}

/** From the hub; without a network, as it was the last time. */
async function listFiles(
  id: string,
  revision: string,
  endpoint: string,
  options: HubOptions,
): Promise<FileList> {
  const { storage, hashing } = options
  const key = listKey(hashing, folderOf(endpoint, id, revision))
  const known = storage && (await readSealed(storage, hashing, key).catch(() => undefined))
  let bytes: Uint8Array
  try {
    bytes = await fetchList(id, revision, endpoint, known !== undefined, options)
  } catch (error) {
    const isUnreachable = error instanceof RuntimeFault && error.code === 'file/network'
    if (isUnreachable && known !== undefined) return parseList(id, known)
    throw error
  }
  const list = parseList(id, bytes)
  // A storage that fails is told about when the first file is opened.
  if (storage !== undefined) await writeSealed(storage, hashing, key, bytes).catch(() => {})
  return list
}

async function fetchList(
  id: string,
  revision: string,
  endpoint: string,
  hasCopy: boolean,
  options: HubOptions,
): Promise<Uint8Array> {
  const { network, token, signal } = options
  const url = `${endpoint}/api/models/${id}/revision/${encodeURIComponent(revision)}?blobs=true`
  return retrying(
    network,
    {
      where: id,
      expected: `a folder of this name, or an answer of ${endpoint}`,
      attempts: hasCopy ? 1 : listAttempts,
      signal,
    },
    async (attemptSignal, isAlive) => {
      const headers: Record<string, string> = { accept: 'application/json' }
      if (token !== undefined) headers['authorization'] = `Bearer ${token}`
      const response = await network.fetch(url, { headers, signal: attemptSignal })
      if (isPassing(response.status)) {
        throw new Retryable(`status ${response.status}`, retryAfterMsOf(response.headers, network.now()))
      }
      if (!response.ok) throw refusal(id, revision, endpoint, response, options)
      const bytes = await bodyOf(response, maxListBytes, isAlive)
      if (bytes === undefined) throw listFault(id, `at most ${maxListBytes} bytes`, 'more')
      return bytes
    },
  )
}

function refusal(
  id: string,
  revision: string,
  endpoint: string,
  { status, headers }: NetworkResponse,
  options: HubOptions,
): RuntimeFault {
  const code = headers.get('x-error-code')
  if (code === 'GatedRepo' || status === 403) {
    const accessFix = `Ask for access at ${endpoint}/${id}, then give a token of that account (option \`token\`, flag --token, or HF_TOKEN).`
    return accessFault(id, status, { ...options, accessFix })
  }
  if (code === 'RevisionNotFound') {
    return new RuntimeFault('weights/missing', {
      where: id,
      expected: `the revision ${shown(revision)}`,
      got: 'none of that name',
      fix: 'Name a branch, a tag or a commit of the repository.',
    })
  }
  // The hub does not tell strangers whether a private repository exists.
  return new RuntimeFault('weights/missing', {
    where: id,
    expected: `a folder of this name, or a repository of ${endpoint}`,
    got: `no such folder, and status ${status} from there`,
    fix:
      options.token === undefined
        ? 'Check the name; a private repository needs a token (option `token`, flag --token, or HF_TOKEN).'
        : 'Check the name, and that the token may read the repository.',
  })
}

function parseList(id: string, bytes: Uint8Array): FileList {
  let json: unknown
  try {
    json = JSON.parse(decodeUtf8(bytes))
  } catch (cause) {
    throw listFault(id, 'JSON', String(cause))
  }
  const commit = isRecord(json) ? json['sha'] : undefined
  const siblings = isRecord(json) ? json['siblings'] : undefined
  if (typeof commit !== 'string' || !/^[0-9a-f]{40}$/.test(commit)) {
    throw listFault(id, 'the hash of a commit as sha', shown(commit))
  }
  if (!Array.isArray(siblings)) throw listFault(id, 'a list of files as siblings', shown(siblings))
  return { commit, files: new Map(siblings.map((entry: unknown) => parseFile(id, entry))) }
}

function parseFile(id: string, entry: unknown): [path: string, file: HubFile] {
  const path = isRecord(entry) ? entry['rfilename'] : undefined
  if (!isRecord(entry) || typeof path !== 'string' || path.split('/').some(isDots)) {
    throw listFault(id, 'a file with a name', shown(path ?? entry))
  }
  const { size, blobId } = entry
  const lfs = isRecord(entry['lfs']) ? entry['lfs'] : undefined
  const sha256 = lfs?.['sha256']
  if (size !== undefined && size !== null && !isCount(size)) {
    throw listFault(`${id}/${path}`, 'a size', shown(size))
  }
  if (sha256 !== undefined && !isSha256(sha256)) {
    throw listFault(`${id}/${path}`, 'a SHA-256', shown(sha256))
  }
  const version = sha256 ?? (typeof blobId === 'string' ? blobId : undefined)
  return [path, { size: isCount(size) ? size : undefined, version, sha256 }]
}

/** A segment that a URL would resolve away. */
function isDots(segment: string): boolean {
  return segment === '' || segment === '.' || segment === '..'
}

function encodePath(path: string): string {
  return path.split('/').map(encodeURIComponent).join('/')
}

function listFault(where: string, expected: string, got: string): RuntimeFault {
  return new RuntimeFault('file/format', {
    where,
    expected,
    got,
    fix: 'The hub gives an answer of another form; check the endpoint.',
  })
}
