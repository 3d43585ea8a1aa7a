// When the pacer sleeps, with a clock that only sleeping and working move.

import { describe, expect, test } from 'vitest'
import { Pacer } from '../../../src/device/webgpu/pacer.ts'

const plan = {}

function bench(): { pacer: Pacer; sleeps: number[]; step: (ms: number, tokens?: number) => Promise<number> } {
  let now = 1000
  const sleeps: number[] = []
  const pacer = new Pacer(
    () => now,
    async (ms) => {
      sleeps.push(ms)
      now += ms
    },
  )
  const step = (ms: number, tokens = 1): Promise<number> => {
    const done = now + ms
    return pacer.pace(plan, tokens, async () => (now = Math.max(now, done)))
  }
  return { pacer, sleeps, step }
}

describe('pacer', () => {
  test('learns from the second step, which no longer compiles, and sleeps from the third', async () => {
    const { sleeps, step } = bench()
    await step(5000)
    await step(100)
    expect(sleeps).toEqual([])
    await step(100)
    expect(sleeps).toEqual([85])
  })

  test('knows each number of tokens apart', async () => {
    const { sleeps, step } = bench()
    for (const tokens of [1, 1, 256, 256]) await step(100, tokens)
    expect(sleeps).toEqual([])
    await step(100, 256)
    expect(sleeps).toEqual([85])
  })

  test('believes a faster step at once and a slower one slowly', async () => {
    const { sleeps, step } = bench()
    for (const ms of [100, 100, 200, 10, 10]) await step(ms)
    // 85 % of 100, of 110, and of the 93 that the step of 10 took with its sleep.
    expect(sleeps).toEqual([85, 93, 79])
  })

  test('does not sleep for steps shorter than a timer tells apart', async () => {
    const { sleeps, step } = bench()
    for (let i = 0; i < 5; i++) await step(2)
    expect(sleeps).toEqual([])
  })

  test('lets a step that waits behind another sleep for both', async () => {
    const { pacer, sleeps, step } = bench()
    for (let i = 0; i < 2; i++) await step(100)
    const waiting = [1, 2].map(() => pacer.pace(plan, 1, async () => undefined))
    // The second is submitted 85 ms into the first: 15 ms are left of that, and 85 % of its own.
    expect(sleeps).toEqual([85, 100])
    await Promise.all(waiting)
  })

  test('passes on what waiting gives, and its failure', async () => {
    const { pacer } = bench()
    expect(await pacer.pace(plan, 1, async () => 'read')).toBe('read')
    await expect(pacer.pace(plan, 1, () => Promise.reject(new Error('lost')))).rejects.toThrow('lost')
  })
})
