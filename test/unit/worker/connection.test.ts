// What a client does with what a worker says at odd times. The worker is played by the test.

import { expose } from 'comlink'
import { afterEach, expect, test, vi, type Mock } from 'vitest'
import { RuntimeFault } from '../../../src/core/errors.ts'
import { Connection } from '../../../src/worker/connection.ts'
import type { Connect, HostMessage } from '../../../src/worker/protocol.ts'

const later = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 5))

interface Play {
  readonly connection: Connection
  /** The port on which the next request is to be answered. */
  readonly answers: Promise<MessagePort>
  readonly close: Mock
}

function play(dispose: () => unknown = () => undefined): Play {
  let take: (port: MessagePort) => void
  const answers = new Promise<MessagePort>((resolve) => (take = resolve))
  const host = { start: (_request: unknown, port: MessagePort) => take(port), dispose }
  const close = vi.fn()
  const link = {
    postMessage: (message: unknown) => expose(host, (message as Connect).port),
    onFailure: () => undefined,
    close,
  }
  return { connection: new Connection(link, undefined), answers, close }
}

const fault = new RuntimeFault('internal', { where: 'test', expected: 'a', got: 'b', fix: 'C.' })

afterEach(() => vi.useRealTimers())

const memory = { weights: 7, states: 0, arena: 0, step: 0, readback: 0 }

test('what comes after a cancellation is dropped, but for memory and the end, which is not waited for long', async () => {
  const { connection, answers } = play()
  const items: unknown[] = []
  const request = { method: 'completion', params: { prompt: [0], stream: true } } as const
  const call = connection.call<'completion'>(request, { onItem: (item) => items.push(item) })
  const port = await answers
  const heard: unknown[] = []
  port.addEventListener('message', ({ data }) => heard.push(data))
  port.start()
  const say = (message: HostMessage<'logits'> | { type: 'item'; value: number }): void =>
    port.postMessage(message)
  say({ type: 'item', value: 1 })
  await later()
  call.cancel('enough')
  await expect(call.result).rejects.toMatchObject({ code: 'engine/cancelled', cause: 'enough' })
  say({ type: 'item', value: 2 })
  say({ type: 'memory', memory })
  await later()
  expect(heard).toEqual([{ type: 'cancel' }])
  expect(items).toEqual([1])
  expect(connection.memory).toEqual(memory)
  expect(connection.numOpen).toBe(1)
  say({ type: 'done', result: { logits: [] } })
  await later()
  expect(connection.numOpen).toBe(0)
  port.close()
  connection.fail(fault)
})

test('a worker that never answers is not waited for long: its link is closed and requests reject', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
  const { connection, answers, close } = play(() => new Promise<never>(() => undefined))
  const { result } = connection.call<'logits'>({ method: 'logits', params: { tokens: [1] } })
  const rejection = result.catch((error: unknown) => error)
  const port = await answers
  port.postMessage({ type: 'memory', memory } satisfies HostMessage)
  await vi.waitFor(() => expect(connection.memory).toEqual(memory))
  const disposal = connection.dispose(fault)
  await vi.advanceTimersByTimeAsync(1000)
  expect(close).not.toHaveBeenCalled()
  await vi.advanceTimersByTimeAsync(4000)
  await disposal
  expect(close).toHaveBeenCalledOnce()
  expect(await rejection).toBe(fault)
  expect(connection.memory.weights).toBe(0)
  port.close()
})

test('a worker that answers in time leaves no timer', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
  const { connection, close } = play(() => ({ ok: true, value: memory }))
  await connection.dispose(fault)
  expect(close).toHaveBeenCalledOnce()
  expect(connection.memory).toEqual(memory)
  expect(vi.getTimerCount()).toBe(0)
})
