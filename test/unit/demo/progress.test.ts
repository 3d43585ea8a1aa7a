// Speed and time left of a load, and how figures are written.

import { describe, expect, test } from 'vitest'
import {
  formatBytes,
  formatMs,
  formatSeconds,
  LoadMeter,
  progressLine,
  type LoadReport,
} from '../../../demo/shared/progress.ts'

const MB = 1e6
const report = (done: number, phase: LoadReport['phase'] = 'download'): LoadReport => ({
  phase,
  done,
  total: 100 * MB,
})

describe('a load', () => {
  test('has no speed before there is something to measure', () => {
    const meter = new LoadMeter()
    expect(meter.add(report(0), 0)).toMatchObject({
      share: 0,
      bytesPerSecond: undefined,
      secondsLeft: undefined,
    })
    expect(meter.add(report(MB), 100)).toMatchObject({ share: 0.01, bytesPerSecond: undefined })
  })

  test('tells speed and time left', () => {
    const meter = new LoadMeter()
    meter.add(report(0), 0)
    expect(meter.add(report(20 * MB), 2000)).toMatchObject({ bytesPerSecond: 10 * MB, secondsLeft: 8 })
  })

  test('forgets how fast it once was', () => {
    const meter = new LoadMeter()
    meter.add(report(0), 0)
    meter.add(report(50 * MB), 1000)
    for (let second = 2; second <= 11; second++) meter.add(report((49 + second) * MB), second * 1000)
    expect(meter.add(report(61 * MB), 12_000)).toMatchObject({ bytesPerSecond: MB, secondsLeft: 39 })
  })

  test('has no speed while it stalls', () => {
    const meter = new LoadMeter()
    meter.add(report(MB), 0)
    expect(meter.add(report(MB), 3000)).toMatchObject({ bytesPerSecond: undefined, secondsLeft: undefined })
  })

  test('measures each phase by itself', () => {
    const meter = new LoadMeter()
    meter.add(report(0, 'download'), 0)
    meter.add(report(100 * MB, 'download'), 1000)
    meter.add(report(0, 'verify'), 1001)
    expect(meter.add(report(50 * MB, 'verify'), 2001)).toMatchObject({
      bytesPerSecond: 50 * MB,
      secondsLeft: 1,
    })
  })

  test('never passes its end', () => {
    const figures = new LoadMeter().add({ phase: 'upload', done: 7, total: 5 }, 0)
    expect(figures).toMatchObject({ share: 1, secondsLeft: undefined })
  })

  test('has no share of an unknown total', () => {
    expect(new LoadMeter().add({ phase: 'upload', done: 7, total: 0 }, 0).share).toBeUndefined()
  })
})

describe('a line', () => {
  const figures = { phase: 'download', done: 1.26 * MB, total: 3.6 * MB, share: 0.35 } as const
  const unknown = { bytesPerSecond: undefined, secondsLeft: undefined }
  test('has bytes, speed and time left', () => {
    const line = progressLine({ ...figures, bytesPerSecond: 5.1 * MB, secondsLeft: 0.4 })
    expect(line).toBe('Downloading · 1.3 MB of 3.6 MB · 5.1 MB/s · 1 s left')
  })

  test('has what is known', () => {
    expect(progressLine({ ...figures, ...unknown })).toBe('Downloading · 1.3 MB of 3.6 MB')
    expect(progressLine({ ...figures, ...unknown, done: figures.total })).toBe('Downloading')
    expect(progressLine({ ...unknown, phase: 'compile', done: 1, total: 3, share: 1 / 3 })).toBe(
      'Compiling shaders',
    )
  })

  test('does not call it a download where nothing comes from afar', () => {
    const kept = { ...figures, ...unknown, done: figures.total, cachedBytes: figures.total }
    expect(progressLine(kept)).toBe('Reading what was kept')
    expect(progressLine({ ...kept, cachedBytes: 1 })).toBe('Downloading')
  })
})

test('steps have no speed', () => {
  const meter = new LoadMeter()
  meter.add({ phase: 'compile', done: 0, total: 3 }, 0)
  expect(meter.add({ phase: 'compile', done: 1, total: 3 }, 1000).bytesPerSecond).toBeUndefined()
})

test.each([
  [0, '0 B'],
  [999, '999 B'],
  [1000, '1.0 kB'],
  [3_644_744, '3.6 MB'],
  [135e9, '135 GB'],
])('%d bytes are %s', (bytes, text) => expect(formatBytes(bytes)).toBe(text))

test('a part of a size has its unit', () => expect(formatBytes(40_000, 3e6)).toBe('0.0 MB'))

test.each([
  [0.2, '1 s'],
  [59.5, '1 min'],
  [61, '2 min'],
  [3600 * 2 + 60 * 5, '2 h 5 min'],
])('%d seconds are %s', (seconds, text) => expect(formatSeconds(seconds)).toBe(text))

test('short times are milliseconds', () => {
  expect(formatMs(98.4)).toBe('98 ms')
  expect(formatMs(1240)).toBe('1.2 s')
})
