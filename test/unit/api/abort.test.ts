// Requests that follow an aborted one. Timing of the abort inside a step must not matter.

import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { createEngineOn, openModelStore } from '../../../src/api/model.ts'
import type { Device } from '../../../src/device/device.ts'
import { createReferenceDevice } from '../../../src/device/reference/reference.ts'
import { directoryStore } from '../../../src/node/directoryStore.ts'
import { fixturesDir } from '../../helpers/dirs.ts'

test('a request right after an abort is answered, whenever the abort came', async () => {
  const model = await openModelStore(directoryStore(`${fixturesDir}/golden/llama/gqa`))
  const options = { dtype: 'f32', maxSeqLen: 64, maxNumSeqs: 2, maxNumBatchedTokens: 16 } as const
  await using engine = await createEngineOn(slow(createReferenceDevice()), model, options)
  await model.close()
  for (let pauseMs = 0; pauseMs < 32; pauseMs++) {
    const abort = new AbortController()
    const request = { prompt: [1, 2, 3], temperature: 0, stream: true, signal: abort.signal } as const
    const reading = drain(engine.completions.create(request))
    await sleep(pauseMs)
    abort.abort()
    await expect(reading).rejects.toMatchObject({ code: 'engine/cancelled' })
    // The loop may be winding down, waiting for a step that nobody needs any more.
    await sleep(pauseMs % 8)
    const { choices } = await engine.completions.create({ prompt: [1, 2], max_tokens: 2, temperature: 0 })
    expect(choices[0]!.tokens).toHaveLength(2)
  }
}, 10_000)

/** A device whose results take a few milliseconds to come back, as on a GPU. */
function slow(device: Device): Device {
  return {
    ...device,
    async run(...args) {
      const outputs = await device.run(...args)
      await sleep(4)
      return outputs
    },
  }
}

async function drain(stream: AsyncIterable<unknown>): Promise<number> {
  let count = 0
  for await (const _ of stream) count++
  return count
}
