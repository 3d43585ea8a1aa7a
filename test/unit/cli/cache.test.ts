// `tabhopper cache`: what it prints, and what it takes away.

import { expect, test } from 'vitest'
import { run } from './fakes.ts'

const file = {
  path: 'model.safetensors',
  totalBytes: 4 * 2 ** 20,
  cachedBytes: 4 * 2 ** 20,
  isVerified: true,
}
const cached = [
  {
    model: 'owner/new',
    revision: 'v2',
    cachedBytes: 4 * 2 ** 20,
    isComplete: true,
    lastUsed: new Date('2026-01-02T03:04:00Z'),
    files: [file],
  },
  {
    model: 'https://host/old',
    revision: undefined,
    cachedBytes: 1000,
    isComplete: false,
    lastUsed: new Date(0),
    files: [{ ...file, cachedBytes: 1000, isVerified: false }],
  },
]

test('list shows models, sizes and when they were used', async () => {
  const { code, out } = await run(['cache', 'list'], { cached })
  expect(code).toBe(0)
  expect(out).toMatch(/owner\/new@v2 +4 MiB +whole +verified +2026-01-02 03:04\n/)
  expect(out).toMatch(/https:\/\/host\/old +1000 bytes +in part +1970-01-01 00:00\n/)
})

test('list --json is one document', async () => {
  const { out } = await run(['cache', 'list', '--json'], { cached })
  expect(JSON.parse(out)).toMatchObject([{ model: 'owner/new', files: [file] }, { isComplete: false }])
})

test('list of nothing says so', async () => {
  expect((await run(['cache', 'list'])).out).toBe('The cache is empty.\n')
})

test.each([
  [['owner/new'], 'owner/new'],
  [['--all'], undefined],
])('delete %j deletes that and tells what it freed', async (args, expected) => {
  const { code, out, fake } = await run(['cache', 'delete', ...args])
  expect({ code, out, deleted: fake.deleted }).toEqual({
    code: 0,
    out: 'Freed 3 MiB.\n',
    deleted: [expected],
  })
})

test('delete --json is one document', async () => {
  const { out } = await run(['cache', 'delete', 'owner/new', '--json'])
  expect(JSON.parse(out)).toEqual({ freedBytes: 3 * 2 ** 20 })
})

test('delete of what is not there fails, and names what is', async () => {
  const { code, out, err } = await run(['cache', 'delete', 'owner/knew'], { cached, freedBytes: 0 })
  expect({ code, out }).toEqual({ code: 1, out: '' })
  expect(err).toContain(
    '[weights/missing] owner/knew: expected a model in the cache, got owner/new@v2, https://host/old. ',
  )
  const { err: none } = await run(['cache', 'delete', 'owner/knew'], { freedBytes: 0 })
  expect(none).toContain('got an empty cache')
})

test.each([[[]], [['owner/new', '--all']]])('delete %j is refused, and deletes nothing', async (args) => {
  const { code, err, fake } = await run(['cache', 'delete', ...args])
  expect(code).toBe(2)
  expect(err).toContain('[cli/usage] cache delete: expected a model, or --all')
  expect(fake.deleted).toEqual([])
})
