// The demo's server (scripts/serve): ranges, types, the policy, paths that would leave its folder, ports; and which
// browser is opened.

import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { request, type IncomingHttpHeaders, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
// @ts-expect-error plain JavaScript: it runs before anything is built
import { describeAdapter } from '../../../scripts/serve/adapter.mjs'
// @ts-expect-error plain JavaScript
import { browserCommand } from '../../../scripts/serve/browser.mjs'
// @ts-expect-error plain JavaScript
import * as staticServer from '../../../scripts/serve/static.mjs'

const { createStaticServer, listen } = staticServer as {
  createStaticServer: (root: string) => Server
  listen: (server: Server, host: string, port: number) => Promise<AddressInfo>
}

interface Answer {
  readonly status: number | undefined
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

let port: number

beforeAll(async () => {
  const top = await mkdtemp(join(tmpdir(), 'tabhopper-serve-'))
  const root = join(top, 'root')
  await mkdir(join(root, 'chat'), { recursive: true })
  await writeFile(join(top, 'secret.txt'), 'secret')
  await writeFile(join(root, 'bytes.bin'), '0123456789')
  await writeFile(join(root, 'empty.txt'), '')
  await writeFile(join(root, 'app-a1B2_c3D.js'), '')
  await writeFile(join(root, 'chat/index.html'), '<p>')
  await symlink(join(top, 'secret.txt'), join(root, 'link.txt'))
  const server = createStaticServer(root)
  port = (await listen(server, '127.0.0.1', 0)).port
  return async () => {
    server.closeAllConnections()
    server.close()
    await rm(top, { recursive: true })
  }
})

/** Sends paths as they are, which fetch would tidy up. */
function get(path: string, headers: Record<string, string> = {}, method = 'GET'): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const sent = request({ host: '127.0.0.1', port, path, headers, method }, (response) => {
      let body = ''
      response.on('data', (chunk) => (body += String(chunk)))
      response.on('end', () => resolve({ status: response.statusCode, headers: response.headers, body }))
    })
    sent.on('error', reject)
    sent.end()
  })
}

describe('a range', () => {
  test.each([
    ['bytes=0-3', 206, '0123', 'bytes 0-3/10'],
    ['bytes=7-', 206, '789', 'bytes 7-9/10'],
    ['bytes=-2', 206, '89', 'bytes 8-9/10'],
    ['bytes=-99', 206, '0123456789', 'bytes 0-9/10'],
    ['bytes=9-99', 206, '9', 'bytes 9-9/10'],
    ['bytes=10-', 416, '', 'bytes */10'],
    ['bytes=-0', 416, '', 'bytes */10'],
    ['bytes=3-2', 200, '0123456789', undefined],
    ['bytes=-', 200, '0123456789', undefined],
    ['bytes=0-1,4-5', 200, '0123456789', undefined],
    ['rows=0-1', 200, '0123456789', undefined],
  ])('%s gets status %d', async (range, status, body, contentRange) => {
    const answer = await get('/bytes.bin', { range })
    expect(answer).toMatchObject({ status, body })
    expect(answer.headers['content-range']).toBe(contentRange)
  })

  test('comes with its length', async () => {
    expect((await get('/bytes.bin', { range: 'bytes=2-4' })).headers['content-length']).toBe('3')
  })

  test('counts only while the file is the same', async () => {
    const { headers } = await get('/bytes.bin')
    const etag = headers.etag ?? ''
    expect(await get('/bytes.bin', { range: 'bytes=0-0', 'if-range': etag })).toMatchObject({ status: 206 })
    expect(await get('/bytes.bin', { range: 'bytes=0-0', 'if-range': '"old"' })).toMatchObject({
      status: 200,
      body: '0123456789',
    })
  })

  test('of an empty file cannot be had, the file can', async () => {
    expect(await get('/empty.txt', { range: 'bytes=0-0' })).toMatchObject({ status: 416 })
    expect(await get('/empty.txt')).toMatchObject({ status: 200, body: '' })
  })
})

describe('the server', () => {
  test('sends nothing that the client has', async () => {
    const { headers } = await get('/bytes.bin')
    const again = await get('/bytes.bin', { 'if-none-match': `"x", W/${headers.etag}` })
    expect(again).toMatchObject({ status: 304, body: '' })
    expect(await get('/bytes.bin', { 'if-none-match': '"x"' })).toMatchObject({ status: 200 })
  })

  test('says what a file is, and for how long', async () => {
    const page = await get('/chat/')
    expect(page.headers).toMatchObject({
      'content-type': 'text/html; charset=utf-8',
      'cache-control': 'no-cache',
      'x-content-type-options': 'nosniff',
    })
    expect(page.headers['content-security-policy']).toMatch(/^default-src 'self'; connect-src 'self' https: /)
    expect((await get('/app-a1B2_c3D.js')).headers).toMatchObject({
      'content-type': 'text/javascript; charset=utf-8',
      'cache-control': 'public, max-age=31536000, immutable',
    })
    expect((await get('/bytes.bin')).headers['content-type']).toBe('application/octet-stream')
  })

  test('answers HEAD without a body and refuses to be written to', async () => {
    const head = await get('/bytes.bin', {}, 'HEAD')
    expect(head).toMatchObject({ status: 200, body: '', headers: { 'content-length': '10' } })
    expect(await get('/bytes.bin', {}, 'PUT')).toMatchObject({ status: 405, headers: { allow: 'GET, HEAD' } })
  })

  test.each([
    '/none',
    '/../secret.txt',
    '/%2e%2e/secret.txt',
    '/..%2fsecret.txt',
    '/chat/..%2f..%2fsecret.txt',
    '/link.txt',
    '/%',
    '/bytes.bin%00.html',
  ])('has no %s', async (path) => {
    expect(await get(path)).toMatchObject({ status: 404, body: '' })
  })

  test('leads to the page, and nowhere else', async () => {
    expect(await get('/')).toMatchObject({ status: 302, headers: { location: '/chat/' } })
    expect((await get('/chat')).headers.location).toBe('/chat/')
    expect((await get('/..//chat')).headers.location).toBe('/chat/')
  })

  test('does not answer under a name that another page pointed at it', async () => {
    expect(await get('/chat/', { host: 'evil.example:8080' })).toMatchObject({ status: 421, body: '' })
    expect(await get('/chat/', { host: 'localhost:8080' })).toMatchObject({ status: 200 })
  })

  test('takes the next port where one is taken', async () => {
    const server = createStaticServer(tmpdir())
    expect((await listen(server, '127.0.0.1', port)).port).toBeGreaterThan(port)
    server.close()
  })
})

describe('a browser', () => {
  const desktop = { DISPLAY: ':0' }
  test.each([
    ['linux', desktop, true, 'xdg-open'],
    ['linux', { WAYLAND_DISPLAY: 'wayland-0' }, true, 'xdg-open'],
    ['darwin', {}, true, 'open'],
    ['win32', {}, true, 'cmd'],
    ['linux', {}, true, undefined],
    ['linux', desktop, false, undefined],
    ['linux', { ...desktop, CI: '1' }, true, undefined],
    ['linux', { ...desktop, SSH_CONNECTION: '10.0.0.1 1 10.0.0.2 22' }, true, undefined],
    ['darwin', { BROWSER: 'none' }, true, undefined],
  ])('on %s with %o, terminal %s: %s', (platform, env, isTerminal, file) => {
    expect(browserCommand(platform, env, isTerminal)?.file).toBe(file)
  })
})

test('an adapter is told in a line', () => {
  const adapter = { description: 'llvmpipe', features: ['shader-f16'], isSoftware: true }
  expect(describeAdapter(adapter)).toBe('llvmpipe · f16 · software: right, but slow')
  expect(describeAdapter({ description: '', device: 'RTX', features: [], isSoftware: false })).toBe(
    'RTX · no f16',
  )
  expect(describeAdapter(null)).toContain('none')
})
