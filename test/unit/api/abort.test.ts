// Requests that follow an aborted one, whenever in a step that was; and one signal for many requests.

import { getEventListeners } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { createEngineOn, openModelStore } from '../../../src/api/model.ts'
import type { Engine } from '../../../src/api/types.ts'
import type { Device } from '../../../src/device/device.ts'
import { createReferenceDevice } from '../../../src/device/reference/reference.ts'
import { directoryStore } from '../../../src/node/directoryStore.ts'
import { fixturesDir } from '../../helpers/dirs.ts'
import { pair } from '../worker/pairs.ts'
import { openEngine, prompt } from './models.ts'

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

describe('one signal for many requests', () => {
  const numRequests = 12
  const user = { role: 'user', content: 'A' } as const

  /** Every way to pass a signal, all at once. */
  const requests = (
    engines: readonly Engine[],
    signal: AbortSignal,
    max_tokens: number,
  ): Promise<unknown>[] =>
    Array.from({ length: numRequests }, (_, index) => engines[index % engines.length]!).flatMap((engine) => [
      engine.completions.create({ prompt, max_tokens, signal }),
      drain(engine.completions.create({ prompt, max_tokens, stream: true, signal })),
      engine.chat.completions.create({ messages: [user], max_tokens, signal }),
      drain(engine.chat.completions.create({ messages: [user], max_tokens, stream: true, signal })),
      engine.logits(prompt, { signal }),
      engine.countTokens('A', { signal }),
    ])

  const worker = pair({}, (_, options) => openEngine({ options, device: slow(createReferenceDevice()) }))
  const load = { dtype: 'f32', maxSeqLen: 64 } as const
  const places: [string, () => Promise<Engine[]>][] = [
    ['in the thread', async () => [await openEngine({ device: slow(createReferenceDevice()) })]],
    ['in a worker', async () => [await worker.connect('gqa', load)]],
    [
      'in a worker that tabs share',
      async () => [await worker.connect('gqa', load), await worker.openTab().connect('gqa', load)],
    ],
  ]

  test.each(places)('%s: it ends all, without a warning, and keeps no listener', async (_place, open) => {
    const warnings: Error[] = []
    const onWarning = (warning: Error): void => void warnings.push(warning)
    process.on('warning', onWarning)
    const engines = await open()
    const stop = new AbortController()
    const asked = requests(engines, stop.signal, 64)
    await sleep(5)
    stop.abort()
    const ends = await Promise.allSettled(asked)
    expect(ends.filter(({ status }) => status === 'rejected').length).toBeGreaterThan(4 * numRequests - 1)
    const calm = new AbortController()
    const answers = requests(engines, calm.signal, 2)
    await Promise.all(answers)
    expect([stop, calm].flatMap(({ signal }) => getEventListeners(signal, 'abort'))).toEqual([])
    await Promise.all(engines.map((engine) => engine.dispose()))
    // Warnings come in a turn of their own.
    await sleep(0)
    process.off('warning', onWarning)
    expect(warnings).toEqual([])
  })
})

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
