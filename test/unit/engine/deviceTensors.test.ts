// Weights that are written on the device: the loader still allocates, checks, computes tables, tells progress and cleans up.

import { describe, expect, test } from 'vitest'
import type { Device } from '../../../src/device/device.ts'
import { createRecordingDevice } from '../../../src/device/recording/recording.ts'
import { planLlm } from '../../../src/engine/load.ts'
import { loadWeights, weightsOf, type DeviceTensors } from '../../../src/engine/loadWeights.ts'
import { loadTogether } from '../../../src/engine/loadTogether.ts'
import { minimalCapabilities, tinySpec } from '../models/tinyLlama.ts'
import { checkpointFor } from './memoryCheckpoint.ts'

const plans = planLlm(
  tinySpec,
  { dtype: 'f16', maxSeqLen: 16, maxNumSeqs: 1, numBlocks: 1, head: 'sample' },
  [{ T: 1, S: 1, R: 1 }],
  minimalCapabilities,
)
const weights = [...weightsOf(plans).values()]
const isTable = (label: string): boolean => label.startsWith('table:')
const { name, tensors } = checkpointFor(tinySpec)

function sourceOf(write: DeviceTensors['write']): DeviceTensors {
  return { name, tensors, write }
}

describe('weights that are written on the device', () => {
  test('are allocated zero-filled and handed over, tables excepted, which are uploaded', async () => {
    const device = createRecordingDevice(minimalCapabilities)
    const seen: string[] = []
    const source = sourceOf(async (given, unwritten) => {
      expect(given).toBe(device)
      for (const { weight, buffer } of unwritten) {
        expect([buffer.label, buffer.bytes]).toEqual([weight.label, weight.bytes])
        seen.push(weight.label)
      }
    })
    const loaded = await loadWeights(device, plans, source)
    const labels = weights.map(({ label }) => label)
    expect(seen).toEqual(labels.filter((label) => !isTable(label)))
    expect([...loaded.values()].map(({ label }) => label)).toEqual(labels)
    const uploads = device.calls.flatMap((call) => (call.kind === 'upload' ? [call.label] : []))
    expect([...new Set(uploads)]).toEqual(labels.filter(isTable))
    expect(uploads.length).toBeGreaterThan(0)
  })

  test('are told of with what was uploaded, up to all bytes', async () => {
    const progress: number[] = []
    const tableBytes = weights.reduce((sum, { label, bytes }) => sum + (isTable(label) ? bytes : 0), 0)
    const totalBytes = weights.reduce((sum, { bytes }) => sum + bytes, 0)
    const source = sourceOf(async (_device, _unwritten, { onProgress }) => {
      onProgress(100)
      onProgress(totalBytes - tableBytes)
    })
    await loadWeights(createRecordingDevice(minimalCapabilities), plans, source, {
      onProgress(loaded, total) {
        expect(total).toBe(totalBytes)
        progress.push(loaded)
      },
    })
    expect(progress.slice(-2)).toEqual([tableBytes + 100, totalBytes])
    expect(progress).toEqual(progress.toSorted((a, b) => a - b))
  })

  test('are freed when writing fails, and shaders stop compiling', async () => {
    const recording = createRecordingDevice(minimalCapabilities)
    let reason: unknown
    const device: Device = {
      ...recording,
      compile: (_plans, { signal } = {}) =>
        new Promise((_, reject) => {
          signal?.addEventListener('abort', () => reject((reason = signal.reason)))
        }),
    }
    const error = new Error('the device refuses')
    const source = sourceOf(() => Promise.reject(error))
    await expect(loadTogether(device, plans, source, {})).rejects.toBe(error)
    expect(reason).toBe(error)
    expect(recording.memory().weights).toBe(0)
    expect(recording.calls.filter(({ kind }) => kind === 'alloc')).toHaveLength(weights.length)
  })

  test('are not begun where a tensor lacks', async () => {
    const device = createRecordingDevice(minimalCapabilities)
    const source = { ...sourceOf(async () => undefined), tensors: new Map() }
    await expect(loadWeights(device, plans, source)).rejects.toThrow('[weights/missing]')
    expect(device.calls).toEqual([])
  })
})
