// The samples of docs/adapters.md, run as they stand there, over a fake engine.

import { readFileSync } from 'node:fs'
import * as ai from 'ai'
import { expect, test, vi } from 'vitest'
import * as aiSdk from '../../../src/adapters/aiSdk.ts'
import * as progress from '../../../src/adapters/progress.ts'
import * as promptApi from '../../../src/adapters/promptApi.ts'
import type { Engine, EngineOptions } from '../../../src/api/types.ts'
import { createFakeEngine } from './fakeEngine.ts'

async function createEngine({ onProgress }: EngineOptions): Promise<Engine> {
  onProgress?.({ phase: 'download', loadedBytes: 1_000_000, totalBytes: 2_000_000, cachedBytes: 0 })
  onProgress?.({ phase: 'ready' })
  return createFakeEngine({ answers: [['Once', ' upon.'], ['Twice.']] })
}

const modules: Readonly<Record<string, unknown>> = {
  ai,
  tabhopper: { createEngine },
  'tabhopper/ai-sdk': aiSdk,
  'tabhopper/progress': progress,
  'tabhopper/prompt-api': promptApi,
}

const page = readFileSync(new URL('../../../docs/adapters.md', import.meta.url), 'utf8')
const samples = [...page.matchAll(/```js\n(.*?)```/gs)].map((match) => match[1] ?? '')

/** What a sample prints, a line a call. */
async function run(sample: string): Promise<string[]> {
  const lines: string[] = []
  const log = vi
    .spyOn(console, 'log')
    .mockImplementation((...values) => void lines.push(values.join(' ').trim()))
  const body = sample.replaceAll(/^import (\{.*\}) from '(.*)'$/gm, "const $1 = modules['$2']")
  const AsyncFunction = (async () => {}).constructor as new (
    ...parts: string[]
  ) => (given: typeof modules) => Promise<void>
  try {
    await new AsyncFunction('modules', body)(modules)
  } finally {
    log.mockRestore()
  }
  return lines
}

test.each([
  ['AI SDK', 0, ['Once', 'upon.', '2']],
  ['Prompt API', 1, ['0 %', '50 %', '100 %', 'Once upon.', 'Twice.', 'true']],
  [
    'progress',
    2,
    [
      '0.45 Downloading: 1.0 of 2.0 MB',
      '1.00 Ready',
      'initiate',
      'download',
      'progress 50',
      'progress_total 50',
      'done',
      'ready',
    ],
  ],
])('the sample of %s', async (_name, index, printed) => {
  expect(await run(samples[index] ?? '')).toEqual(printed)
})

test('every sample is run', () => {
  expect(samples).toHaveLength(3)
})
