// A load that is aborted in each of its phases ends within a moment, and nothing stays allocated. A hub on this machine,
// the weight cache in memory, and Dawn's null backend, whose shaders are really compiled.

import { expect, test } from 'vitest'
import { orderedProgress } from '../../../src/api/loadProgress.ts'
import { createEngineOn } from '../../../src/api/model.ts'
import { openRemoteModel } from '../../../src/api/remoteModel.ts'
import type { EngineOptions, LoadProgress } from '../../../src/api/types.ts'
import { openDawnDevice } from '../../../src/device/dawn/dawn.ts'
import type { Device } from '../../../src/device/device.ts'
import { zeroedReads } from '../../helpers/zeroedReads.ts'
import { MemoryChunks } from '../weights/remote/memoryChunks.ts'
import type { TestServer } from '../weights/remote/testServer.ts'
import { hubId, startHub } from './hub.ts'

/** A device whose steps take as long as those of a slow GPU. */
function slow(device: Device): Device {
  return {
    ...device,
    async run(...args) {
      await new Promise((resolve) => setTimeout(resolve, 20))
      return device.run(...args)
    },
  }
}

async function load(
  device: Device,
  server: TestServer,
  options: Required<Pick<EngineOptions, 'signal' | 'onProgress'>>,
): Promise<void> {
  const model = await openRemoteModel(hubId, {
    endpoint: server.url,
    storage: new MemoryChunks(),
    ...options,
  })
  try {
    const sizes = {
      dtype: 'f32',
      maxSeqLen: 64,
      maxNumBatchedTokens: 16,
      maxNumSeqs: 2,
      warmUp: true,
    } as const
    await using _ = await createEngineOn(device, model, { ...sizes, ...options })
  } finally {
    await model.close()
  }
}

test.each(['download', 'verify', 'upload', 'compile', 'warm-up'] as const)(
  'in the phase %s',
  async (phase) => {
    await using server = await startHub()
    const device = slow(zeroedReads(await openDawnDevice({ backend: 'null' })))
    const abort = new AbortController()
    const seen: LoadProgress['phase'][] = []
    let abortedAt = 0
    const onProgress = orderedProgress((progress) => {
      seen.push(progress.phase)
      if (progress.phase !== phase || abort.signal.aborted) return
      abortedAt = performance.now()
      abort.abort('enough')
    })
    await expect(load(device, server, { signal: abort.signal, onProgress })).rejects.toMatchObject({
      name: 'AbortError',
      code: 'engine/cancelled',
    })
    expect(performance.now() - abortedAt).toBeLessThan(1000)
    expect(seen.at(-1)).toBe(phase)
    expect(device.memory()).toEqual({ weights: 0, states: 0, arena: 0, step: 0, readback: 0 })
    // Nothing goes on.
    await new Promise((resolve) => setTimeout(resolve, 50))
    expect(seen.at(-1)).toBe(phase)
    expect(device.memory().weights).toBe(0)
  },
)
