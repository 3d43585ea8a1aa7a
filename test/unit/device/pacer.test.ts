// When the pacer naps, on an event loop and a clock that the test turns by hand.

import { expect, test } from 'vitest'
import { Pacer } from '../../../src/device/webgpu/pacer.ts'

interface Loop {
  readonly pacer: Pacer
  /** Milliseconds of the naps so far. */
  readonly naps: readonly number[]
  /** Lets milliseconds pass, then runs the turns that are due; how many they were. */
  readonly turn: (ms: number) => number
}

function loop(): Loop {
  let now = 1000
  const naps: number[] = []
  let due: (() => void)[] = []
  const nap = (ms: number): void => {
    naps.push(ms)
    now += ms
  }
  const pacer = new Pacer(
    () => now,
    nap,
    (next) => due.push(next),
  )
  const turn = (ms: number): number => {
    now += ms
    const turns = due
    due = []
    for (const run of turns) run()
    return turns.length
  }
  return { pacer, naps, turn }
}

test('naps a sixteenth of the time waited, four milliseconds at most', () => {
  const { pacer, naps, turn } = loop()
  void pacer.wait(new Promise(() => {}))
  for (const ms of [8, 7.5, 100, 100]) turn(ms)
  expect(naps).toEqual([0.5, 1, 4, 4])
})

test('does not nap before that would be worth it', () => {
  const { pacer, naps, turn } = loop()
  void pacer.wait(new Promise(() => {}))
  turn(1)
  expect(naps).toEqual([])
})

test('starts anew after each thing that came, and naps half of the time that the next should take', async () => {
  const { pacer, naps, turn } = loop()
  void pacer.wait(new Promise(() => {}))
  turn(8)
  await pacer.wait(Promise.resolve())
  // It took 8.5 ms. Of the next wait 3 ms are over, then 5.75, then 10.
  for (const ms of [3, 0, 2.875]) turn(ms)
  expect(naps).toEqual([0.5, 2.75, 1.375, 0.625])
})

test('turns once a turn however many wait, and stops with the last', async () => {
  const { pacer, turn } = loop()
  await Promise.all([1, 2, 3].map((value) => pacer.wait(Promise.resolve(value))))
  const again = pacer.wait(Promise.resolve())
  expect(turn(0)).toBe(1)
  await again
  expect([turn(0), turn(0)]).toEqual([1, 0])
})

test('passes on what was waited for, and its failure', async () => {
  const { pacer } = loop()
  expect(await pacer.wait(Promise.resolve('read'))).toBe('read')
  await expect(pacer.wait(Promise.reject(new Error('lost')))).rejects.toThrow('lost')
})

test('naps on a real loop without delaying what it waits for by much', async () => {
  const started = performance.now()
  const cpu = process.cpuUsage()
  await new Pacer().wait(new Promise((resolve) => void setTimeout(resolve, 200)))
  const { user, system } = process.cpuUsage(cpu)
  expect(performance.now() - started).toBeLessThan(300)
  expect((user + system) / 1000).toBeLessThan(150)
})
