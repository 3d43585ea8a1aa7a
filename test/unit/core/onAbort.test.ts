// One signal, many listeners: one on the signal itself, none once nobody listens, and each is called once.

import { getEventListeners } from 'node:events'
import { describe, expect, test } from 'vitest'
import { onAbort } from '../../../src/core/onAbort.ts'

const numOn = (signal: AbortSignal): number => getEventListeners(signal, 'abort').length

describe('listeners of a signal', () => {
  test('share one on it, and are called in their order, once', () => {
    const { signal, abort } = withSignal()
    const called: number[] = []
    const same = (): void => void called.push(-1)
    for (let index = 0; index < 100; index++) onAbort(signal, () => called.push(index))
    onAbort(signal, same)
    onAbort(signal, same)
    expect(numOn(signal)).toBe(1)
    abort()
    abort()
    expect(called).toEqual([...Array.from({ length: 100 }, (_, index) => index), -1, -1])
    expect(numOn(signal)).toBe(0)
  })

  test('that have ended are not called, and the last one leaves nothing on the signal', () => {
    const { signal, abort } = withSignal()
    const called: string[] = []
    const endA = onAbort(signal, () => called.push('a'))
    const endB = onAbort(signal, () => called.push('b'))
    endA()
    endA()
    expect(numOn(signal)).toBe(1)
    endB()
    expect(numOn(signal)).toBe(0)
    onAbort(signal, () => called.push('c'))
    endB()
    abort()
    expect(called).toEqual(['c'])
  })

  test('may end each other and add others while they are called', () => {
    const { signal, abort } = withSignal()
    const called: string[] = []
    onAbort(signal, () => {
      called.push('a')
      endB()
      onAbort(signal, () => called.push('too late'))
    })
    const endB = onAbort(signal, () => called.push('b'))
    abort()
    expect(called).toEqual(['a'])
  })

  test('that throw keep no other from being called', async () => {
    const { signal, abort } = withSignal()
    const called: string[] = []
    const uncaught = new Promise((resolve) => process.once('uncaughtException', resolve))
    const before = process.listeners('uncaughtException').slice(0, -1)
    for (const listener of before) process.off('uncaughtException', listener)
    onAbort(signal, () => {
      throw new Error('one')
    })
    onAbort(signal, () => called.push('other'))
    abort()
    expect(called).toEqual(['other'])
    expect(await uncaught).toMatchObject({ message: 'one' })
    for (const listener of before) process.on('uncaughtException', listener)
  })

  test('of no signal, or of one that has fired, are never called', () => {
    onAbort(undefined, () => expect.unreachable())()
    onAbort(null, () => expect.unreachable())()
    onAbort(AbortSignal.abort(), () => expect.unreachable())()
  })
})

function withSignal(): { signal: AbortSignal; abort: () => void } {
  const controller = new AbortController()
  return { signal: controller.signal, abort: () => controller.abort() }
}
