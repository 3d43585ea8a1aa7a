// What a conversation is and how it changes: pure functions that return a new one.
// Not here: keeping it (storage.ts), getting answers (session.ts).

import type { ShownFault } from '../shared/fault.ts'

export interface UserMessage {
  readonly id: string
  readonly role: 'user'
  readonly content: string
}

/** `length`: the answer reached the most tokens it may have. `stopped`: by the user, or with the page. */
export type AnswerState = 'waiting' | 'streaming' | 'done' | 'length' | 'stopped' | 'failed'

export interface AnswerStats {
  readonly model: string
  readonly seed: number
  readonly tokens: number
  readonly tokensPerSecond: number | undefined
  /** Milliseconds from asking to the first token. */
  readonly firstTokenMs: number | undefined
  readonly promptTokens: number | undefined
}

export interface Answer {
  readonly id: string
  readonly role: 'assistant'
  readonly content: string
  readonly state: AnswerState
  readonly stats?: AnswerStats | undefined
  readonly fault?: ShownFault | undefined
  /** Earlier messages that the model did not see, for want of room. */
  readonly numLeftOut?: number | undefined
}

export type Message = UserMessage | Answer

export interface Conversation {
  readonly id: string
  readonly title: string
  /** Given by the user; the first question no longer changes it. */
  readonly isRenamed: boolean
  /** Milliseconds since 1970. */
  readonly createdAt: number
  readonly updatedAt: number
  readonly system: string
  readonly messages: readonly Message[]
}

export const untitled = 'New conversation'
const maxTitleLength = 60

const newId = (): string => crypto.randomUUID()

export function newConversation(now: number): Conversation {
  return {
    id: newId(),
    title: untitled,
    isRenamed: false,
    createdAt: now,
    updatedAt: now,
    system: '',
    messages: [],
  }
}

/** Adds a question; the first one gives the title. */
export function ask(conversation: Conversation, content: string, now: number): Conversation {
  const question: UserMessage = { id: newId(), role: 'user', content }
  const messages = [...conversation.messages, question]
  return { ...conversation, messages, updatedAt: now, title: titleOf({ ...conversation, messages }) }
}

/** Puts another text in place of a question and drops what came after it. */
export function editQuestion(
  conversation: Conversation,
  messageId: string,
  content: string,
  now: number,
): Conversation {
  const at = conversation.messages.findIndex(({ id }) => id === messageId)
  if (at < 0) return conversation
  return ask({ ...conversation, messages: conversation.messages.slice(0, at) }, content, now)
}

/** Drops an answer and what came after it. */
export function dropAnswer(conversation: Conversation, messageId: string): Conversation {
  const at = conversation.messages.findIndex(({ id, role }) => id === messageId && role === 'assistant')
  return at < 0 ? conversation : { ...conversation, messages: conversation.messages.slice(0, at) }
}

/** Adds an answer that has no text yet; it is the last message. */
export function beginAnswer(conversation: Conversation, now: number): Conversation {
  const answer: Answer = { id: newId(), role: 'assistant', content: '', state: 'waiting' }
  return { ...conversation, messages: [...conversation.messages, answer], updatedAt: now }
}

export function updateAnswer(
  conversation: Conversation,
  messageId: string,
  change: Partial<Omit<Answer, 'id' | 'role'>>,
): Conversation {
  const messages = conversation.messages.map((message) =>
    message.id === messageId && message.role === 'assistant' ? { ...message, ...change } : message,
  )
  return { ...conversation, messages }
}

/** An empty title goes back to that of the first question. */
export function rename(conversation: Conversation, title: string): Conversation {
  const trimmed = title.trim()
  const isRenamed = trimmed !== ''
  return { ...conversation, isRenamed, title: titleOf({ ...conversation, isRenamed, title: trimmed }) }
}

function titleOf({ isRenamed, title, messages }: Conversation): string {
  if (isRenamed) return title
  const line = messages[0]?.content.trim().replaceAll(/\s+/g, ' ') ?? ''
  if (line === '') return untitled
  return line.length <= maxTitleLength ? line : `${line.slice(0, maxTitleLength - 1).trimEnd()}…`
}

export const isEmpty = ({ messages }: Conversation): boolean => messages.length === 0

/** Newest first. */
export function byRecency(conversations: readonly Conversation[]): Conversation[] {
  return conversations.toSorted((a, b) => b.updatedAt - a.updatedAt)
}

/** What was kept, as it goes on after a reload: an answer that was being written then has stopped. */
export function restored(conversation: Conversation): Conversation {
  const messages = conversation.messages.map((message) =>
    message.role === 'assistant' && (message.state === 'waiting' || message.state === 'streaming')
      ? { ...message, state: 'stopped' as const }
      : message,
  )
  return { ...conversation, messages }
}

/** Whether something read from storage is a conversation of this version. */
export function isConversation(value: unknown): value is Conversation {
  if (typeof value !== 'object' || value === null) return false
  const { id, title, updatedAt, system, messages } = value as Partial<Record<keyof Conversation, unknown>>
  return (
    [id, title, system].every((text) => typeof text === 'string') &&
    typeof updatedAt === 'number' &&
    Array.isArray(messages) &&
    messages.every(isMessage)
  )
}

function isMessage(value: unknown): value is Message {
  if (typeof value !== 'object' || value === null) return false
  const { id, role, content } = value as Partial<Record<keyof Message, unknown>>
  return typeof id === 'string' && typeof content === 'string' && (role === 'user' || role === 'assistant')
}

/** As a file for other programs: messages in OpenAI's shape, figures beside them. */
export function exportDocument(conversation: Conversation): object {
  const { title, system, createdAt, updatedAt, messages } = conversation
  return {
    format: 'tabhopper-conversation',
    version: 1,
    title,
    createdAt: new Date(createdAt).toISOString(),
    updatedAt: new Date(updatedAt).toISOString(),
    messages: [
      ...(system === '' ? [] : [{ role: 'system', content: system }]),
      ...messages.map((message) =>
        message.role === 'user'
          ? { role: message.role, content: message.content }
          : { role: message.role, content: message.content, state: message.state, stats: message.stats },
      ),
    ],
  }
}
