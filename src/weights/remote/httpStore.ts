// A model folder behind a URL: each file is one address below it. Not here: single files (httpSource.ts), the hub
// (hub.ts).
import { RuntimeFault } from '../../core/errors.ts'
import { openHttpFile } from './httpSource.ts'
import type { Network } from './network.ts'
import type { RemoteStore } from './remoteStore.ts'

export interface HttpStoreOptions {
  readonly network: Network
  /** Sent to the origin of the folder, and nowhere else. */
  readonly token?: string | undefined
  readonly signal?: AbortSignal | undefined
}

/**
 * The files below `baseUrl`, whose query, if it has one, goes with every request. Throws `engine/input` unless it is
 * http(s).
 */
export function httpStore(baseUrl: string, options: HttpStoreOptions): RemoteStore {
  const base = folderUrl(baseUrl)
  const urlOf = (path: string): string => {
    const url = new URL(path.split('/').map(encodeURIComponent).join('/'), base)
    // A path like `..` would leave the folder.
    if (!url.pathname.startsWith(base.pathname)) throw leavingFault(path)
    url.search = base.search
    return url.href
  }
  const name = decoded(base.pathname.split('/').at(-2) ?? '') || base.host
  return {
    name,
    folder: withoutQuery(base.href),
    model: withoutQuery(base.href).replace(/\/$/, ''),
    revision: undefined,
    open: async (path, { hasCopy } = {}) =>
      openHttpFile(urlOf(path), `${name}/${path}`, { ...options, hasCopy }),
  }
}

/** The folder and the name of the file that a URL means, such as that of a GGUF file. */
export function splitFileUrl(fileUrl: string): { folder: string; file: string } {
  const url = parseHttpUrl(fileUrl)
  const at = url.pathname.lastIndexOf('/') + 1
  const file = decoded(url.pathname.slice(at))
  url.pathname = url.pathname.slice(0, at)
  return { folder: url.href, file }
}

function folderUrl(text: string): URL {
  const url = parseHttpUrl(text)
  url.hash = ''
  if (!url.pathname.endsWith('/')) url.pathname += '/'
  return url
}

function parseHttpUrl(text: string): URL {
  let url: URL | undefined
  try {
    url = new URL(text)
  } catch {
    // Reported below.
  }
  if (url === undefined || !/^https?:$/.test(url.protocol)) throw addressFault(text, 'an http or https URL')
  if (url.username !== '' || url.password !== '') throw addressFault(url.host, 'a URL without a password')
  return url
}

function decoded(segment: string): string {
  try {
    return decodeURIComponent(segment)
  } catch {
    throw addressFault(segment, 'a percent-encoded name')
  }
}

function withoutQuery(href: string): string {
  const url = new URL(href)
  return `${url.origin}${url.pathname}`
}

function addressFault(got: string, expected: string): RuntimeFault {
  return new RuntimeFault('engine/input', { where: 'model', expected, got, fix: 'Correct the address.' })
}

function leavingFault(got: string): RuntimeFault {
  return new RuntimeFault('file/io', {
    where: 'the address of a model',
    expected: 'a path inside the folder',
    got,
    fix: 'Correct the name of the file.',
  })
}
