// Which messages of a conversation go to the model: all, or the newest that its context has room for, as its tokenizer
// counts them.

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

/** Whole exchanges are left out, oldest first, as few as there must be. The last question always goes. */
export async function requestFor(
  conversation: Conversation,
  maxSeqLen: number,
  maxTokens: number,
  countTokens: (turns: readonly ChatTurn[]) => Promise<number>,
): Promise<Request> {
  const { system } = conversation
  const messages = conversation.messages.filter(({ content }) => content !== '')
  const room = maxSeqLen - Math.min(maxTokens, Math.floor(maxSeqLen * answerShare))
  const requestFrom = (numLeftOut: number): Request => ({
    messages: [
      ...(system === '' ? [] : [{ role: 'system' as const, content: system }]),
      ...messages.slice(numLeftOut).map(({ role, content }) => ({ role, content })),
    ],
    numLeftOut,
  })
  const starts = questions(messages)
  // By halves: the fewer messages, the fewer tokens.
  let [low, high] = [0, starts.length - 1]
  while (low < high) {
    const middle = Math.floor((low + high) / 2)
    const fits = (await countTokens(requestFrom(starts[middle]!).messages)) <= room
    if (fits) high = middle
    else low = middle + 1
  }
  return requestFrom(starts[low]!)
}

/** Where a request may begin: one that begins with an answer confuses models and chat templates. */
function questions(messages: readonly Message[]): number[] {
  const indices = messages.flatMap(({ role }, index) => (role === 'user' ? [index] : []))
  return indices.length === 0 ? [0] : indices
}
