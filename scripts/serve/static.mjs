// A server of static files: types, byte ranges, ETags, a strict Content-Security-Policy. Not here: what is served.
import { createReadStream } from 'node:fs'
import { realpath, stat } from 'node:fs/promises'
import { createServer } from 'node:http'
import path from 'node:path'
import { pipeline } from 'node:stream'
import { isFresh, parseRange } from './ranges.mjs'

const TYPES = {
  '.css': 'text/css; charset=utf-8',
  '.html': 'text/html; charset=utf-8',
  '.ico': 'image/x-icon',
  '.js': 'text/javascript; charset=utf-8',
  '.json': 'application/json; charset=utf-8',
  '.map': 'application/json; charset=utf-8',
  '.md': 'text/markdown; charset=utf-8',
  '.mjs': 'text/javascript; charset=utf-8',
  '.png': 'image/png',
  '.svg': 'image/svg+xml',
  '.txt': 'text/plain; charset=utf-8',
  '.wasm': 'application/wasm',
  '.webmanifest': 'application/manifest+json',
}

/** Everything from here; models also from other servers, which is the user's choice in the page. */
const POLICY = [
  "default-src 'self'",
  "connect-src 'self' https: http://localhost:* http://127.0.0.1:*",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ')

/** Names with a hash of their content never change. */
const HASHED = /-[\w-]{8}\.\w+$/

/** How many ports after the first are tried. */
const PORTS_TO_TRY = 20

/** @param {string} root the folder to serve; nothing above it is reachable, links included */
export function createStaticServer(root) {
  return createServer((request, response) => {
    answer(root, request, response).catch((error) => {
      if (response.headersSent) response.destroy(error)
      else end(response, 500)
    })
  })
}

/**
 * Listens on the port or the next free one.
 * @returns {Promise<import('node:net').AddressInfo>}
 */
export async function listen(server, host, firstPort) {
  for (let port = firstPort; ; port++) {
    try {
      await new Promise((resolve, reject) => {
        server.once('error', reject)
        server.listen(port, host, () => {
          server.off('error', reject)
          resolve()
        })
      })
      return server.address()
    } catch (error) {
      const isTaken = error.code === 'EADDRINUSE' && firstPort !== 0
      if (!isTaken || port - firstPort >= PORTS_TO_TRY || port === 65_535) {
        throw new Error(
          `[serve/port] ${host}:${port}: expected a free port, got ${error.code}. Pass another one with --port.`,
          { cause: error },
        )
      }
    }
  }
}

async function answer(root, request, response) {
  response.setHeader('content-security-policy', POLICY)
  response.setHeader('x-content-type-options', 'nosniff')
  response.setHeader('referrer-policy', 'no-referrer')
  response.setHeader('cross-origin-resource-policy', 'same-origin')
  if (!isOurs(request.headers.host)) return end(response, 421)
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    response.setHeader('allow', 'GET, HEAD')
    return end(response, 405)
  }
  // Two slashes at the start of a redirect would name a server.
  const pathname = new URL(request.url ?? '/', 'http://server').pathname.replace(/^\/+/, '/')
  if (pathname === '/') return redirect(response, '/chat/')
  const file = await fileAt(root, pathname)
  if (file === undefined) return end(response, 404)
  if (file.isFolder) return redirect(response, `${pathname}/`)
  sendFile(request, response, file)
}

/** A page of another name must not reach this server by pointing its name here. */
function isOurs(host = '') {
  const name = host.replace(/:\d+$/, '')
  return (
    name === 'localhost' || name.endsWith('.localhost') || /^(\d+\.\d+\.\d+\.\d+|\[[\da-f:.]+\])$/i.test(name)
  )
}

async function fileAt(root, pathname) {
  let wanted
  try {
    wanted = decodeURIComponent(pathname)
  } catch {
    return undefined
  }
  if (wanted.includes('\0')) return undefined
  const name = wanted.endsWith('/') ? `${wanted}index.html` : wanted
  try {
    const base = await realpath(root)
    const full = await realpath(path.join(base, name))
    if (!full.startsWith(base + path.sep)) return undefined
    const about = await stat(full)
    if (about.isDirectory()) return { isFolder: true }
    return about.isFile() ? { path: full, size: about.size, modified: about.mtime } : undefined
  } catch {
    return undefined
  }
}

function sendFile(request, response, file) {
  const { headers } = request
  const etag = `"${file.size.toString(16)}-${Math.floor(file.modified.getTime()).toString(16)}"`
  const lastModified = file.modified.toUTCString()
  response.setHeader('etag', etag)
  response.setHeader('last-modified', lastModified)
  response.setHeader('accept-ranges', 'bytes')
  response.setHeader(
    'cache-control',
    HASHED.test(file.path) ? 'public, max-age=31536000, immutable' : 'no-cache',
  )
  response.setHeader(
    'content-type',
    TYPES[path.extname(file.path).toLowerCase()] ?? 'application/octet-stream',
  )
  const range = parseRange(headers, file.size, { etag, lastModified })
  if (isFresh(headers, etag)) end(response, 304)
  else if (range === 'unsatisfiable') {
    response.setHeader('content-range', `bytes */${file.size}`)
    end(response, 416)
  } else sendBytes(request, response, file, range)
}

function sendBytes(request, response, file, range) {
  const { start, end: last } = range ?? { start: 0, end: file.size - 1 }
  if (range !== undefined) response.setHeader('content-range', `bytes ${start}-${last}/${file.size}`)
  response.setHeader('content-length', last - start + 1)
  response.writeHead(range === undefined ? 200 : 206)
  if (request.method === 'HEAD' || file.size === 0) response.end()
  // A client that goes away ends the reading, too.
  else pipeline(createReadStream(file.path, { start, end: last }), response, () => undefined)
}

function redirect(response, location) {
  response.setHeader('location', location)
  end(response, 302)
}

function end(response, status) {
  response.writeHead(status)
  response.end()
}
