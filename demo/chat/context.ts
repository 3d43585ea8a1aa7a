// Which messages of a conversation go to the model: all, or the newest that its context has room for. Tokens are
// estimated from what earlier answers counted; the engine has the last word.

import type { Conversation, Message } from './conversation.ts'

export interface ChatTurn {
  readonly role: 'system' | 'user' | 'assistant'
  readonly content: string
}

export interface Request {
  readonly messages: readonly ChatTurn[]
  /** Messages from the start that were left out. */
  readonly numLeftOut: number
}

/** Share of the context that is kept free for the answer, where that many tokens may be asked for. */
const answerShare = 0.4
const charactersPerToken = 3
/** What a chat template puts around a message. */
const tokensPerMessage = 4

/** `atLeast` messages are left out in any case. The last question always goes. */
export function requestFor(
  conversation: Conversation,
  maxSeqLen: number,
  maxTokens: number,
  atLeast = 0,
): Request {
  const { system } = conversation
  const messages = conversation.messages.filter(({ content }) => content !== '')
  const room = maxSeqLen - Math.min(maxTokens, Math.floor(maxSeqLen * answerShare))
  const size = (content: string): number =>
    Math.ceil(content.length / charactersPerTokenOf(messages)) + tokensPerMessage
  const total = (list: readonly Message[]): number =>
    list.reduce((sum, { content }) => sum + size(content), system === '' ? 0 : size(system))
  let numLeftOut = nextQuestion(messages, atLeast)
  while (numLeftOut < lastQuestion(messages) && total(messages.slice(numLeftOut)) > room) {
    numLeftOut = nextQuestion(messages, numLeftOut + 1)
  }
  return {
    messages: [
      ...(system === '' ? [] : [{ role: 'system' as const, content: system }]),
      ...messages.slice(numLeftOut).map(({ role, content }) => ({ role, content })),
    ],
    numLeftOut,
  }
}

/** Measured on the answers so far; careful before there are any. */
function charactersPerTokenOf(messages: readonly Message[]): number {
  let characters = 0
  let tokens = 0
  for (const message of messages) {
    if (message.role !== 'assistant' || message.stats === undefined) continue
    characters += message.content.length
    tokens += message.stats.tokens
  }
  return tokens < 20 ? charactersPerToken : Math.max(1, characters / tokens)
}

/** A conversation that begins with an answer confuses models and chat templates. */
function nextQuestion(messages: readonly Message[], from: number): number {
  const at = messages.findIndex(({ role }, index) => index >= from && role === 'user')
  return at < 0 ? lastQuestion(messages) : at
}

function lastQuestion(messages: readonly Message[]): number {
  return Math.max(
    0,
    messages.findLastIndex(({ role }) => role === 'user'),
  )
}
