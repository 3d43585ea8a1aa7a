// Which messages go to the model when a conversation outgrows its context.

import { describe, expect, test, vi } from 'vitest'
import { requestFor, type ChatTurn } from '../../../demo/chat/context.ts'
import * as change from '../../../demo/chat/conversation.ts'
import type { Conversation } from '../../../demo/chat/conversation.ts'

/** Rounds of a question and an answer of `length` characters; then a last question. */
function talk(rounds: number, length: number): Conversation {
  let conversation = change.newConversation(0)
  for (let round = 0; round < rounds; round++) {
    conversation = change.beginAnswer(change.ask(conversation, `question ${round}`, 0), 0)
    const content = 'x'.repeat(length)
    conversation = change.updateAnswer(conversation, conversation.messages.at(-1)?.id ?? '', {
      content,
      state: 'done',
    })
  }
  return change.ask(conversation, 'last', 0)
}

/** Four characters are a token, and each message has four more. */
const count = async (turns: readonly ChatTurn[]): Promise<number> =>
  turns.reduce((sum, { content }) => sum + Math.ceil(content.length / 4) + 4, 0)

describe('a request', () => {
  test('has the whole conversation where there is room', async () => {
    const { messages, numLeftOut } = await requestFor(talk(2, 400), 1024, 400, count)
    expect(numLeftOut).toBe(0)
    expect(messages.map(({ role }) => role)).toEqual(['user', 'assistant', 'user', 'assistant', 'user'])
  })

  test('leaves out the oldest rounds where there is not, and begins with a question', async () => {
    // 261 tokens a round, and 624 are free beside the answer.
    const request = await requestFor(talk(4, 1000), 1024, 400, count)
    expect(request).toMatchObject({ numLeftOut: 4 })
    expect(request.messages[0]).toEqual({ role: 'user', content: 'question 2' })
  })

  test('takes more where shorter answers are asked for', async () => {
    expect((await requestFor(talk(4, 1000), 1024, 16, count)).numLeftOut).toBe(2)
  })

  test.each([1, 2, 3, 5, 30])(
    'leaves out as little as it must of %i rounds, in few counts',
    async (rounds) => {
      for (let room = 20; room < 300 * rounds; room += 97) {
        const counting = vi.fn(count)
        const conversation = talk(rounds, 1000)
        const { messages, numLeftOut } = await requestFor(conversation, room, 0, counting)
        expect(counting.mock.calls.length).toBeLessThanOrEqual(5)
        expect(messages.length === 1 || (await count(messages)) <= room).toBe(true)
        const longer = conversation.messages.slice(Math.max(0, numLeftOut - 2))
        expect(numLeftOut === 0 || (await count(longer)) > room).toBe(true)
      }
    },
  )

  test('keeps the system prompt, and the last question whatever its length', async () => {
    const conversation = { ...change.ask(talk(3, 1000), 'y'.repeat(9000), 0), system: 'Be brief.' }
    const { messages } = await requestFor(conversation, 1024, 400, count)
    expect(messages.map(({ role, content }) => [role, content.length])).toEqual([
      ['system', 9],
      ['user', 9000],
    ])
  })

  test('has no answers without text', async () => {
    const stopped = change.beginAnswer(talk(0, 0), 0)
    const { messages } = await requestFor(change.ask(stopped, 'again', 0), 1024, 400, count)
    expect(messages).toEqual([
      { role: 'user', content: 'last' },
      { role: 'user', content: 'again' },
    ])
  })
})
