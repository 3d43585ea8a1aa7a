// What a worker costs for each token against an engine in the page, when the engine itself costs nothing. Prints the
// figures; the limits are the project's goal.

import { expect, test } from 'vitest'
import { createEngine, memoryStore, type Engine } from '../../src/index.ts'
import { createNullEngine } from '../helpers/nullEngine.ts'

const worker = (): Worker => new Worker(new URL('./nullWorker.ts', import.meta.url), { type: 'module' })

async function msPerToken(engine: Engine, count: number): Promise<number> {
  const startedAt = performance.now()
  let numChunks = 0
  for await (const _ of engine.completions.create({ prompt: [0], max_tokens: count, stream: true }))
    numChunks++
  expect(numChunks).toBe(count + 1)
  return (performance.now() - startedAt) / count
}

const median = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[values.length >> 1]!

test('a worker adds at most 0.3 ms to a token', async () => {
  const remote = await createEngine({ model: memoryStore('null', {}), worker })
  const local = createNullEngine()
  const differences: number[] = []
  for (let round = 0; round < 9; round++) {
    const inWorker = await msPerToken(remote, 2000)
    differences.push(inWorker - (await msPerToken(local, 2000)))
  }
  await remote.dispose()
  console.log(`worker overhead: ${median(differences).toFixed(4)} ms a token (9 × 2000 tokens, median)`)
  expect(median(differences)).toBeLessThan(0.3)
})

test('a token is in the page within a millisecond of its making', async () => {
  const engine = await createEngine({ model: memoryStore('null', {}), worker, maxSeqLen: 5 })
  const delays: number[] = []
  for await (const { created } of engine.completions.create({ prompt: [0], max_tokens: 200, stream: true })) {
    delays.push(performance.timeOrigin + performance.now() - created)
  }
  await engine.dispose()
  console.log(
    `worker latency: ${median(delays).toFixed(3)} ms from worker to page (a token every 5 ms, median)`,
  )
  expect(median(delays)).toBeLessThan(1)
})
