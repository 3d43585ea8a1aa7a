// Which messages go to the model when a conversation outgrows its context.

import { describe, expect, test } from 'vitest'
import { requestFor } from '../../../demo/chat/context.ts'
import * as change from '../../../demo/chat/conversation.ts'
import type { Conversation } from '../../../demo/chat/conversation.ts'

/** Rounds of a question and an answer of `length` characters, each counted as `tokens`; then a last question. */
function talk(rounds: number, length: number, tokens: number): Conversation {
  let conversation = change.newConversation(0)
  for (let round = 0; round < rounds; round++) {
    conversation = change.beginAnswer(change.ask(conversation, `question ${round}`, 0), 0)
    conversation = change.updateAnswer(conversation, conversation.messages.at(-1)?.id ?? '', {
      content: 'x'.repeat(length),
      state: 'done',
      stats: {
        model: 'm',
        seed: 0,
        tokens,
        tokensPerSecond: undefined,
        firstTokenMs: undefined,
        promptTokens: undefined,
      },
    })
  }
  return change.ask(conversation, 'last', 0)
}

const firstOf = (...args: Parameters<typeof requestFor>): string | undefined =>
  requestFor(...args).messages[0]?.content

describe('a request', () => {
  test('has the whole conversation where there is room', () => {
    const { messages, numLeftOut } = requestFor(talk(2, 400, 100), 1024, 400)
    expect(numLeftOut).toBe(0)
    expect(messages.map(({ role }) => role)).toEqual(['user', 'assistant', 'user', 'assistant', 'user'])
  })

  test('leaves out the oldest rounds where there is not, and begins with a question', () => {
    // Four characters a token, as the answers counted: 250 tokens each, and about 600 are free beside the answer.
    const request = requestFor(talk(4, 1000, 250), 1024, 400)
    expect(request).toMatchObject({ numLeftOut: 4 })
    expect(request.messages[0]).toEqual({ role: 'user', content: 'question 2' })
  })

  test('counts as the answers did, not by a guess', () => {
    // The same characters in a tenth of the tokens.
    expect(requestFor(talk(4, 1000, 25), 1024, 400).numLeftOut).toBe(0)
  })

  test('takes more where shorter answers are asked for', () => {
    expect(requestFor(talk(4, 1000, 250), 1024, 16).numLeftOut).toBe(2)
  })

  test('keeps the system prompt, and the last question whatever its length', () => {
    const conversation = { ...change.ask(talk(3, 1000, 250), 'y'.repeat(9000), 0), system: 'Be brief.' }
    const { messages } = requestFor(conversation, 1024, 400)
    expect(messages.map(({ role, content }) => [role, content.length])).toEqual([
      ['system', 9],
      ['user', 9000],
    ])
  })

  test('leaves out more on demand, when the engine refuses it', () => {
    const conversation = talk(3, 10, 100)
    expect(firstOf(conversation, 4096, 400, 1)).toBe('question 1')
    expect(firstOf(conversation, 4096, 400, 3)).toBe('question 2')
    expect(firstOf(conversation, 4096, 400, 99)).toBe('last')
  })

  test('has no answers without text', () => {
    const stopped = change.beginAnswer(talk(0, 0, 0), 0)
    expect(requestFor(change.ask(stopped, 'again', 0), 1024, 400).messages).toEqual([
      { role: 'user', content: 'last' },
      { role: 'user', content: 'again' },
    ])
  })
})
