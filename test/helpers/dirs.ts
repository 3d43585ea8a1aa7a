// Paths that tests read. Data outside the repository may be absent; tests that need it skip and say so.

import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const root: string = fileURLToPath(new URL('../..', import.meta.url))

export const fixturesDir: string = `${root}test/fixtures`
export const modelsDir: string = `${root}public/models`
/** Small real inputs that are not part of the repository. */
export const dataDir: string = process.env['TABHOPPER_DATA'] ?? `${root}../shared/data`

export function hasData(path: string): boolean {
  return existsSync(`${dataDir}/${path}`)
}
