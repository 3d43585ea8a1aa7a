// One load, told in the shapes of web-llm and of transformers.js.

import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import {
  transformersProgress,
  webLlmProgress,
  type InitProgressReport,
  type ProgressInfo,
} from '../../../src/adapters/progress.ts'
import type { LoadProgress } from '../../../src/api/types.ts'

const totalBytes = 4_000_000
const download = (loadedBytes: number, cachedBytes = 0): LoadProgress => ({
  phase: 'download',
  loadedBytes,
  totalBytes,
  cachedBytes,
})
const upload = (loadedBytes: number): LoadProgress => ({ phase: 'upload', loadedBytes, totalBytes })

const remote: readonly LoadProgress[] = [
  download(1_000_000, 1_000_000),
  download(3_000_000, 1_000_000),
  { phase: 'verify', loadedBytes: 500_000, totalBytes },
  download(4_000_000, 1_000_000),
  upload(2_000_000),
  { phase: 'compile', done: 1, total: 2 },
  { phase: 'warm-up', done: 1, total: 2 },
  { phase: 'warm-up', done: 2, total: 2 },
  { phase: 'ready' },
]

describe('webLlmProgress', () => {
  beforeEach(() => {
    vi.useFakeTimers()
  })
  afterEach(() => {
    vi.useRealTimers()
  })

  const reportsOf = (load: readonly LoadProgress[]): InitProgressReport[] => {
    const reports: InitProgressReport[] = []
    const onProgress = webLlmProgress((report) => reports.push(report))
    for (const progress of load) {
      vi.advanceTimersByTime(1500)
      onProgress(progress)
    }
    return reports
  }

  test('goes from 0 to 1 without falling, and reaches 1 when ready only', () => {
    const shares = reportsOf([download(0), ...remote]).map(({ progress }) => progress)
    expect(shares).toEqual(shares.toSorted((a, b) => a - b))
    expect(shares[0]).toBe(0)
    expect(shares[1]).toBeCloseTo(0.225)
    expect(shares.at(-2)).toBeLessThan(1)
    expect(shares.at(-1)).toBe(1)
  })

  test('counts seconds and says what is done', () => {
    expect(reportsOf(remote).map(({ timeElapsed, text }) => `${timeElapsed} ${text}`)).toEqual([
      '2 Reading the cache: 1.0 of 4.0 MB',
      '3 Downloading: 3.0 of 4.0 MB',
      '5 Verifying: 0.5 of 4.0 MB',
      '6 Downloading: 4.0 of 4.0 MB',
      '8 Loading weights: 2.0 of 4.0 MB',
      '9 Compiling shaders: 1 of 2',
      '11 Warming up: 1 of 2',
      '12 Warming up: 2 of 2',
      '14 Ready',
    ])
  })

  test('moves with an upload where nothing is downloaded', () => {
    expect(reportsOf([upload(2_000_000)])[0]?.progress).toBeCloseTo(0.45)
  })
})

describe('transformersProgress', () => {
  const name = 'owner/model'
  const file = 'model.safetensors'
  const eventsOf = (load: readonly LoadProgress[]): ProgressInfo[] => {
    const events: ProgressInfo[] = []
    const onProgress = transformersProgress((info) => events.push(info), { name })
    for (const progress of load) onProgress(progress)
    return events
  }
  const bytes = (loaded: number): ProgressInfo[] => {
    const counted = { progress: (100 * loaded) / totalBytes, loaded, total: totalBytes }
    const files = { [file]: { loaded, total: totalBytes } }
    return [
      { status: 'progress', name, file, ...counted },
      { status: 'progress_total', name, ...counted, files },
    ]
  }
  const begin: ProgressInfo[] = [
    { status: 'initiate', name, file },
    { status: 'download', name, file },
  ]
  const end: ProgressInfo[] = [
    { status: 'done', name, file },
    { status: 'ready', task: 'text-generation', model: name },
  ]

  test('tells of a download in order, each state once', () => {
    const progress = [1_000_000, 3_000_000, 4_000_000].flatMap(bytes)
    expect(eventsOf(remote)).toEqual([...begin, ...progress, ...end])
  })

  test('tells of an upload where nothing is downloaded', () => {
    expect(eventsOf([upload(4_000_000), { phase: 'ready' }])).toEqual([...begin, ...bytes(4_000_000), ...end])
  })

  test('is done with the file when shaders are compiled', () => {
    expect(eventsOf([upload(4_000_000), { phase: 'compile', done: 0, total: 2 }]).at(-1)).toEqual(end[0])
  })

  test('ends also without a byte', () => {
    expect(eventsOf([{ phase: 'ready' }])).toEqual([...begin, ...end])
  })

  test('takes names for file and task', () => {
    const events: ProgressInfo[] = []
    const options = { name, file: 'model.gguf', task: 'chat' }
    transformersProgress((info) => events.push(info), options)({ phase: 'ready' })
    expect(events.at(-2)).toEqual({ status: 'done', name, file: 'model.gguf' })
    expect(events.at(-1)).toEqual({ status: 'ready', task: 'chat', model: name })
  })
})
