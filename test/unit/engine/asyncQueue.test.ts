// The one-reader queue behind token streams: order, waiting, ends and errors, whichever side comes first.

import { describe, expect, test } from 'vitest'
import { AsyncQueue } from '../../../src/core/asyncQueue.ts'

interface Seen {
  readonly items: number[]
  readonly error: unknown
}

/** Everything the reader gets, and the error that ended it. */
async function drain(queue: AsyncQueue<number>): Promise<Seen> {
  const items: number[] = []
  try {
    for await (const item of queue) items.push(item)
  } catch (error) {
    return { items, error }
  }
  return { items, error: undefined }
}

const later = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 1))

describe('an async queue', () => {
  test('gives what was there before the reader came, in order', async () => {
    const queue = new AsyncQueue<number>()
    for (const item of [3, 1, 2]) queue.push(item)
    queue.close()
    expect(await drain(queue)).toEqual({ items: [3, 1, 2], error: undefined })
  })

  test('wakes a reader that waits, once for each item and once for the end', async () => {
    const queue = new AsyncQueue<number>()
    const reader = drain(queue)
    for (const item of [1, 2, 3]) {
      await later()
      queue.push(item)
    }
    await later()
    queue.close()
    expect(await reader).toEqual({ items: [1, 2, 3], error: undefined })
  })

  test('gives items that were pushed in one go while the reader waits', async () => {
    const queue = new AsyncQueue<number>()
    const reader = drain(queue)
    await later()
    queue.push(1)
    queue.push(2)
    queue.close()
    expect((await reader).items).toEqual([1, 2])
  })

  test('stays open until it is closed', async () => {
    const queue = new AsyncQueue<number>()
    queue.push(1)
    let isDone = false
    const reader = drain(queue).finally(() => (isDone = true))
    await later()
    expect(isDone).toBe(false)
    queue.close()
    await reader
    expect(isDone).toBe(true)
  })

  test('fails after the items that are in it, with the very error', async () => {
    const queue = new AsyncQueue<number>()
    const error = new Error('lost')
    queue.push(1)
    queue.fail(error)
    expect(await drain(queue)).toEqual({ items: [1], error })
  })

  test('fails a reader that waits', async () => {
    const queue = new AsyncQueue<number>()
    const reader = drain(queue)
    await later()
    queue.fail(new Error('lost'))
    expect((await reader).error).toMatchObject({ message: 'lost' })
  })

  test('keeps the first of two errors', async () => {
    const queue = new AsyncQueue<number>()
    queue.fail(new Error('first'))
    queue.fail(new Error('second'))
    expect((await drain(queue)).error).toMatchObject({ message: 'first' })
  })

  test('lets its reader leave early', async () => {
    const queue = new AsyncQueue<number>()
    queue.push(1)
    queue.push(2)
    for await (const item of queue) {
      expect(item).toBe(1)
      break
    }
    queue.close()
    expect((await drain(queue)).items).toEqual([2])
  })
})
