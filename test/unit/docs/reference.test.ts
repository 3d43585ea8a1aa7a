// The reference that `npm run docs` writes: typedoc.json refuses what has no doc comment, and this runs it.

import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { root } from './pages.ts'

interface Reference {
  readonly children: readonly {
    readonly name: string
    readonly children?: readonly { readonly name: string }[]
  }[]
}

async function readJson<T>(path: string): Promise<T> {
  return JSON.parse(await readFile(path, 'utf8')) as T
}

test('nothing that is exported lacks a doc comment', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'tabhopper-reference-'))
  try {
    const typedoc = join(root, 'node_modules/typedoc/bin/typedoc')
    await promisify(execFile)(process.execPath, [typedoc, '--json', join(dir, 'docs.json')], { cwd: root })
    const { children: modules } = await readJson<Reference>(join(dir, 'docs.json'))
    const { exports } = await readJson<{ exports: object }>(join(root, 'package.json'))
    expect(modules).toHaveLength(Object.keys(exports).filter((path) => path !== './package.json').length)
    const index = modules.find(({ name }) => name === 'index')
    expect(index?.children?.map(({ name }) => name)).toEqual(
      expect.arrayContaining(['createEngine', 'Engine', 'RuntimeFault']),
    )
  } finally {
    await rm(dir, { recursive: true })
  }
})
