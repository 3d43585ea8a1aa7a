// What changes in a conversation: titles, edits that branch, answers, what a reload finds.

import { describe, expect, test } from 'vitest'
import * as change from '../../../demo/chat/conversation.ts'
import type { Conversation } from '../../../demo/chat/conversation.ts'

const roles = ({ messages }: Conversation): string[] =>
  messages.map(({ role, content }) => `${role}: ${content}`)

const lastId = ({ messages }: Conversation): string => messages.at(-1)?.id ?? ''

/** Questions, each with its answer. */
function talk(...questions: string[]): Conversation {
  return questions.reduce((conversation, question) => {
    const begun = change.beginAnswer(change.ask(conversation, question, 1), 1)
    return change.updateAnswer(begun, lastId(begun), { content: `to ${question}`, state: 'done' })
  }, change.newConversation(0))
}

describe('titles', () => {
  test('come from the first question, in one line and not too long', () => {
    expect(talk('a  dog\nand a cat', 'more').title).toBe('a dog and a cat')
    expect(talk('x'.repeat(100)).title).toBe(`${'x'.repeat(59)}…`)
    expect(change.newConversation(0).title).toBe(change.untitled)
  })

  test('that the user gave stay, until an empty one takes them back', () => {
    const renamed = change.rename(talk('dog'), '  Mine ')
    expect(change.ask(renamed, 'cat', 2).title).toBe('Mine')
    expect(change.rename(renamed, ' ').title).toBe('dog')
  })

  test('follow an edited first question', () => {
    const before = talk('dog')
    expect(change.editQuestion(before, before.messages[0]?.id ?? '', 'cat', 2).title).toBe('cat')
  })
})

describe('messages', () => {
  test('after an edited question are dropped, those before it stay', () => {
    const before = talk('one', 'two', 'three')
    const after = change.editQuestion(before, before.messages[2]?.id ?? '', 'second', 2)
    expect(roles(after)).toEqual(['user: one', 'assistant: to one', 'user: second'])
    expect(roles(before)).toHaveLength(6)
  })

  test('after an answer that is wanted anew are dropped with it', () => {
    const before = talk('one', 'two')
    const after = change.dropAnswer(before, before.messages[1]?.id ?? '')
    expect(roles(after)).toEqual(['user: one'])
    // A question is no answer.
    expect(change.dropAnswer(before, before.messages[2]?.id ?? '')).toBe(before)
  })

  test('that are not there change nothing', () => {
    const before = talk('one')
    expect(change.editQuestion(before, 'none', 'x', 2)).toBe(before)
    expect(roles(change.updateAnswer(before, 'none', { content: 'x' }))).toEqual(roles(before))
  })

  test('keep their place when others change', () => {
    const before = talk('one', 'two')
    const after = change.updateAnswer(before, before.messages[1]?.id ?? '', { content: 'new' })
    expect(roles(after)[1]).toBe('assistant: new')
    expect(after.messages[3]).toBe(before.messages[3])
  })
})

describe('what was kept', () => {
  test('comes back with answers that ended with the page', () => {
    const begun = change.beginAnswer(change.ask(change.newConversation(0), 'dog', 1), 1)
    const streaming = change.updateAnswer(begun, lastId(begun), { content: 'Once', state: 'streaming' })
    expect(change.restored(streaming).messages[1]).toMatchObject({ content: 'Once', state: 'stopped' })
    expect(change.restored(talk('dog')).messages[1]).toMatchObject({ state: 'done' })
  })

  test.each([
    ['a conversation', talk('dog'), true],
    ['nothing', undefined, false],
    ['no messages', { ...talk('dog'), messages: undefined }, false],
    [
      'a message of another kind',
      { ...talk('dog'), messages: [{ id: 'a', role: 'tool', content: '' }] },
      false,
    ],
    ['a message without text', { ...talk('dog'), messages: [{ id: 'a', role: 'user' }] }, false],
    ['no title', { ...talk('dog'), title: 7 }, false],
  ])('is looked at: %s', (_name, value, expected) => {
    expect(change.isConversation(value)).toBe(expected)
  })

  test('is listed newest first', () => {
    const [old, young] = [change.newConversation(1), change.newConversation(2)]
    expect(change.byRecency([old, young])).toEqual([young, old])
  })
})

test('an export has the messages in the shape that other programs read', () => {
  const conversation = { ...talk('dog'), system: 'Be brief.' }
  expect(change.exportDocument(conversation)).toMatchObject({
    title: 'dog',
    createdAt: '1970-01-01T00:00:00.000Z',
    messages: [
      { role: 'system', content: 'Be brief.' },
      { role: 'user', content: 'dog' },
      { role: 'assistant', content: 'to dog', state: 'done' },
    ],
  })
})
