// The addresses of a hub, as they are copied from a browser → which repository, revision and file they mean.
// Not here: ids (hubModel.ts), or what is fetched (hub.ts).
import { RuntimeFault } from '../../core/errors.ts'
import { isRepositoryId, type HubModelId } from './hubModel.ts'

export interface HubAddress extends HubModelId {
  /** Of the hub. */
  readonly endpoint: string
}

export const defaultEndpoint = 'https://huggingface.co'

/** Names of the hub at `defaultEndpoint`. */
const defaultHosts: readonly string[] = ['huggingface.co', 'www.huggingface.co', 'hf.co']

/**
 * What an address of the hub at `endpoint`, or of the one at huggingface.co, means: the page of a repository, also at a
 * revision, or the page or download of one of its files. Undefined for every other address. Throws engine/input for a
 * folder inside a repository.
 */
export function parseHubUrl(text: string, endpoint: string): HubAddress | undefined {
  const url = URL.canParse(text) ? new URL(text) : undefined
  const hub = url && hubOf(url, endpoint)
  const segments = hub && segmentsOf(hub.path)
  if (segments === undefined) return undefined
  const [owner = '', name = '', view, ...rest] = segments
  const id = `${owner}/${name}`
  if (!isRepositoryId(id) || owner === 'datasets' || owner === 'spaces') return undefined
  const repository = { endpoint: hub!.endpoint, id, file: undefined, revision: undefined }
  if (view === undefined) return repository
  if (!/^(tree|blob|raw|resolve)$/.test(view) || rest.length === 0) return undefined
  // Slashes of a branch's name are encoded; those of refs are not.
  const numNames = rest[0] === 'refs' ? 3 : 1
  const at = { ...repository, revision: rest.slice(0, numNames).join('/') }
  const path = rest.slice(numNames).join('/')
  if (/\.gguf$/i.test(path)) return { ...at, file: path }
  // All of it, or one of the files that make it a model.
  if (path === '' || /^[^/]+\.\w+$/.test(path)) return at
  // A folder like any other: its files lie below this address.
  if (view === 'resolve') return undefined
  throw folderFault(text)
}

/** The hub that has the address, and the path there. */
function hubOf(url: URL, endpoint: string): { endpoint: string; path: string } | undefined {
  const own = new URL(endpoint)
  const base = own.pathname.replace(/\/*$/, '/')
  if (url.origin === own.origin && url.pathname.startsWith(base))
    return { endpoint: endpoint.replace(/\/+$/, ''), path: url.pathname.slice(base.length) }
  return defaultHosts.includes(url.host)
    ? { endpoint: defaultEndpoint, path: url.pathname.slice(1) }
    : undefined
}

/** Undefined where a segment is not what it would be in an address that a browser made. */
function segmentsOf(path: string): string[] | undefined {
  try {
    return path.replace(/\/+$/, '').split('/').map(decodeURIComponent)
  } catch {
    return undefined
  }
}

function folderFault(got: string): RuntimeFault {
  return new RuntimeFault('engine/input', {
    where: 'model',
    expected: 'a repository, or a .gguf file of it',
    got,
    fix: 'Give the address of the one or the other.',
  })
}
