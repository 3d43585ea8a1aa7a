// The first page of docs/getting-started.md, as it stands there, over the built library.

import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { buildLibrary, openSite, projectRoot } from './site.ts'

test('the first page answers', async () => {
  const text = await readFile(join(projectRoot, 'docs/getting-started.md'), 'utf8')
  const html = /```html\n(.*?)```/s.exec(text)?.[1] ?? ''
  expect(html.trim().split('\n').length).toBeLessThanOrEqual(10)
  const dist = await buildLibrary()
  const folder = await mkdtemp(join(tmpdir(), 'tabhopper-page-'))
  try {
    await writeFile(join(folder, 'index.html'), html)
    await using site = await openSite({ '/tabhopper/': dist, '/': folder })
    // Its script is inline, which the site's policy forbids.
    const page = await (await site.browser.newContext({ bypassCSP: true })).newPage()
    const errors: Error[] = []
    page.on('pageerror', (error) => errors.push(error))
    await page.goto(site.url)
    await page.getByText(/(\S+ ){8}/).waitFor({ timeout: 60_000 })
    expect(errors).toEqual([])
  } finally {
    await rm(folder, { recursive: true })
    await rm(dist, { recursive: true })
  }
})
