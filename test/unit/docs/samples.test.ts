// Every `ts` sample of the documentation compiles, and every `ts node` sample runs and logs what it says.
// The samples of docs/adapters.md are run by test/unit/adapters/docs.test.ts.

import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { expectedLog, logOf, programOf, readPages, root, typeErrors } from './pages.ts'

const pages = await readPages()

const programs = new Map(
  pages.flatMap((page) =>
    (['ts', 'ts node'] as const).flatMap((mark) => {
      const program = programOf(page, mark)
      return program === undefined
        ? []
        : [[`${page.path}.${mark === 'ts' ? 'web' : 'node'}.ts`, program] as const]
    }),
  ),
)

describe('samples', () => {
  test('compile', () => {
    expect(programs.size).toBeGreaterThanOrEqual(10)
    const wrong = "import { createEngine } from 'tabhopper'\nawait createEngine({ modle: 'x' })\n"
    const errors = typeErrors(new Map([...programs, ['docs/wrong.ts', wrong]]))
    // The compiler looks at them, and at the library's types.
    expect(errors.filter((error) => error.startsWith('docs/wrong.ts'))).toEqual([
      expect.stringContaining(
        "docs/wrong.ts:2: Object literal may only specify known properties, but 'modle'",
      ),
    ])
    expect(errors.filter((error) => !error.startsWith('docs/wrong.ts'))).toEqual([])
  })

  const nodePrograms = [...programs].filter(([path]) => path.endsWith('.node.ts'))
  test.each(nodePrograms)('run: %s', async (_, program) => {
    const lines = await logOf(program)
    let from = 0
    for (const expected of expectedLog(program)) {
      const index = lines.indexOf(expected, from)
      expect(index, `${expected} in ${JSON.stringify(lines.slice(from))}`).toBeGreaterThanOrEqual(from)
      from = index + 1
    }
  })
})

describe('pages', () => {
  test('errors.md has every code, and no other', async () => {
    const source = await readFile(join(root, 'src/core/errors.ts'), 'utf8')
    const codes = [...source.matchAll(/^ {2}\| '(.*)'$/gm)].map((match) => match[1])
    const text = pages.find(({ path }) => path === 'docs/errors.md')?.text ?? ''
    const rows = [...text.matchAll(/^\| (`.*?`) \|/gm)].map((match) => match[1] ?? '')
    expect(rows.flatMap((row) => [...row.matchAll(/`(.*?)`/g)].map((match) => match[1]))).toEqual(codes)
  })

  test.each(pages)('$path links to what is there', ({ path, text }) => {
    const targets = [...text.matchAll(/\]\((?!https?:)([^)#]+)/g)].map((match) => match[1] ?? '')
    expect(targets.filter((target) => !existsSync(join(root, dirname(path), target)))).toEqual([])
  })
})
