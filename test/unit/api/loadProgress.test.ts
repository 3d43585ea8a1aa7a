// Reports of a load: their order, their pace and their sums, with a clock of the test.

import { expect, test } from 'vitest'
import { orderedProgress } from '../../../src/api/loadProgress.ts'
import type { LoadProgress } from '../../../src/api/types.ts'
import { TransferMeter } from '../../../src/weights/remote/transferMeter.ts'
import { expectRising, phaseRuns } from '../../helpers/progress.ts'

const download = (loadedBytes: number): LoadProgress => ({
  phase: 'download',
  loadedBytes,
  totalBytes: 10,
  cachedBytes: 0,
})
const upload = (loadedBytes: number): LoadProgress => ({ phase: 'upload', loadedBytes, totalBytes: 20 })

/** What is passed on of reports, the given milliseconds after one another. */
function passed(reports: readonly (readonly [afterMs: number, progress: LoadProgress])[]): LoadProgress[] {
  const seen: LoadProgress[] = []
  let now = 0
  const report = orderedProgress(
    (progress) => seen.push(progress),
    () => now,
  )
  for (const [afterMs, progress] of reports) {
    now += afterMs
    report(progress)
  }
  return seen
}

test('uploads are told of once the download is done', () => {
  const seen = passed(
    [download(4), upload(2), download(10), upload(12), upload(20)].map((each) => [100, each]),
  )
  expect(seen).toEqual([download(4), download(10), upload(12), upload(20)])
})

test('a model that is at hand has uploads alone', () => {
  expect(phaseRuns(passed([upload(2), upload(20)].map((each) => [100, each])))).toEqual(['upload'])
})

test('reports of a phase come at most every 50 ms, but the last always comes', () => {
  const compile: LoadProgress = { phase: 'compile', done: 0, total: 3 }
  const reports = [download(1), download(2), download(3), download(4), compile]
  expect(passed(reports.map((each) => [20, each]))).toEqual([download(1), download(4), compile])
  expect(passed([download(1), download(2), download(10)].map((each) => [20, each]))).toEqual([
    download(1),
    download(10),
  ])
  expect(passed([download(1), download(2), compile].map((each) => [20, each]))).toEqual([
    download(1),
    download(2),
    compile,
  ])
})

test('after ready nothing is told: a recovery loads again', () => {
  const ready: LoadProgress = { phase: 'ready' }
  expect(passed([download(10), ready, download(1)].map((each) => [100, each]))).toHaveLength(2)
})

/** What a meter tells while `act` runs. */
function told(act: (meter: TransferMeter) => void): LoadProgress[] {
  const seen: LoadProgress[] = []
  act(new TransferMeter((progress) => seen.push(progress)))
  expectRising(seen)
  return seen
}

test('a meter is silent until it knows the weights, and its share never falls', () => {
  const seen = told((meter) => {
    meter.file('config.json', 10, 0).addChunk(0, 10, false)
    const weights = meter.file('a.safetensors', 90, 0)
    weights.addChunk(0, 40, true)
    const tokenizer = meter.file('tokenizer.json', 100, 0)
    weights.addChunk(1, 25, false)
    weights.addChunk(1, 50, false)
    tokenizer.addChunk(0, 100, false)
    // Read once more, by whoever opens it again.
    meter.file('tokenizer.json', 100, 0).addChunk(0, 100, true)
  })
  const [loaded, total] = [seen.map((each) => 'loadedBytes' in each && each.loadedBytes), 200]
  expect(loaded).toEqual([50, 100, total])
  expect(seen.at(-1)).toEqual({ phase: 'download', loadedBytes: total, totalBytes: total, cachedBytes: 40 })
})

test('a meter counts no more verified bytes than there are', () => {
  const seen = told((meter) => {
    const file = meter.file('a.gguf', 100, 100)
    for (let i = 0; i < 3; i++) file.addVerified(50)
  })
  expect(seen.at(-1)).toEqual({ phase: 'verify', loadedBytes: 100, totalBytes: 100 })
})
