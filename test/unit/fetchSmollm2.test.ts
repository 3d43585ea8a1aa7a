// The script that fetches SmolLM2 for the tests: where it puts the file, and its readers of package indices and zips.

import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { deflateRawSync } from 'node:zlib'
import { afterAll, describe, expect, test } from 'vitest'
// @ts-expect-error plain JavaScript: a script that runs by itself
import { addressIn, smollm2Path, unzip } from '../../scripts/fetchSmollm2.mjs'

test('the file lies in the cache', () => {
  const name = 'models/SmolLM2-135M-Instruct.Q4_1.gguf'
  expect(smollm2Path({ TABHOPPER_CACHE: '/a', XDG_CACHE_HOME: '/b' })).toBe(`/a/${name}`)
  expect(smollm2Path({ XDG_CACHE_HOME: '/b' })).toBe(`/b/tabhopper/${name}`)
  expect(smollm2Path({})).toContain(`/.cache/tabhopper/${name}`)
})

test('a wheel is found in an index of either form', () => {
  const json = JSON.stringify({
    files: [
      { filename: 'a-1.whl', url: '../x/a-1.whl' },
      { filename: 'a-2.whl', url: '../x/a-2.whl' },
    ],
  })
  expect(addressIn(json, true, 'a-2.whl')).toBe('../x/a-2.whl')
  const html = '<a href="../x/a-1.whl#sha256=0">a</a> <a data-x href="/y?b=1&amp;c=/a-2.whl#sha256=1">a</a>'
  expect(addressIn(html, false, 'a-2.whl')).toBe('/y?b=1&c=/a-2.whl#sha256=1')
  expect(addressIn(html, false, 'a-3.whl')).toBeUndefined()
})

describe('the script', () => {
  const cache = mkdtempSync(join(tmpdir(), 'tabhopper-smollm2-'))
  afterAll(() => rmSync(cache, { recursive: true }))
  // No index is asked: this one is nowhere.
  const env = { ...process.env, TABHOPPER_CACHE: cache, PIP_INDEX_URL: 'http://127.0.0.1:9/simple' }
  const run = (...args: string[]) =>
    spawnSync(process.execPath, ['scripts/fetchSmollm2.mjs', ...args], { env, encoding: 'utf8' })

  test('has help', () => {
    const { status, stdout, stderr } = run('--help')
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
    expect(stdout).toMatch(/^Usage: node scripts\/fetchSmollm2\.mjs \[wheel\]\n/)
  })

  test('takes no other flag for a wheel', () => {
    const { status, stderr } = run('--wheel')
    expect(status).toBe(1)
    expect(stderr).toMatch(/got: the arguments --wheel\./)
  })

  test('does not take a damaged model for the model', () => {
    mkdirSync(dirname(smollm2Path(env)))
    writeFileSync(smollm2Path(env), 'half of it')
    const { status, stdout, stderr } = run()
    expect({ status, stdout }).toEqual({ status: 1, stdout: '' })
    expect(stderr).toMatch(/Q4_1\.gguf is damaged; it will be replaced\.\n.*fetch failed/s)
  })
})

/** A zip archive of deflated or stored files. */
function zip(files: Record<string, { data: Buffer; isStored?: boolean }>): Buffer {
  const locals: Buffer[] = []
  const entries: Buffer[] = []
  let offset = 0
  for (const [name, { data, isStored = false }] of Object.entries(files)) {
    const packed = isStored ? data : deflateRawSync(data)
    // Extra fields that differ, as archivers write them.
    const local = Buffer.alloc(30 + name.length + 5)
    local.write('PK\x03\x04')
    local.writeUInt16LE(name.length, 26)
    local.writeUInt16LE(5, 28)
    const entry = Buffer.alloc(46 + name.length + 3)
    entry.write('PK\x01\x02')
    entry.writeUInt16LE(isStored ? 0 : 8, 10)
    entry.writeUInt32LE(packed.length, 20)
    entry.writeUInt16LE(name.length, 28)
    entry.writeUInt16LE(3, 30)
    entry.writeUInt32LE(offset, 42)
    entry.write(name, 46)
    locals.push(local, packed)
    entries.push(entry)
    offset += local.length + packed.length
  }
  const end = Buffer.alloc(22 + 4)
  end.write('PK\x05\x06')
  end.writeUInt16LE(entries.length, 10)
  end.writeUInt32LE(offset, 16)
  return Buffer.concat([...locals, ...entries, end])
}

describe('a zip archive', () => {
  const data = Buffer.from('many words, many words, many words')

  test('gives each file, packed or not', () => {
    const archive = zip({ 'x/a': { data: Buffer.from('a') }, 'x/b': { data }, c: { data, isStored: true } })
    expect(unzip(archive, 'x/b')).toEqual(data)
    expect(unzip(archive, 'c')).toEqual(data)
  })

  test.each([
    ['lacks the file', zip({ b: { data } })],
    ['is none', Buffer.from('<html>')],
  ])('that %s is refused', (_what, archive) => {
    expect(() => unzip(archive, 'a')).toThrow('no a in the archive')
  })
})
