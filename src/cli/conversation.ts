// The turns of a chat and how many of them fit the context. Not here: the engine, the terminal.

import type { ChatMessage } from '../text/chatTemplate.ts'

export interface ConversationOptions {
  readonly system: string | undefined
  /** Tokens that prompt and answer may take together. */
  readonly maxSeqLen: number
  /** Tokens kept free for an answer. */
  readonly reserve: number
  /** Tokens of a prompt made of these messages. */
  readonly countTokens: (messages: readonly ChatMessage[]) => number
}

export class Conversation {
  readonly #options: ConversationOptions
  /** Questions and answers in turn, without the system message. */
  #turns: ChatMessage[] = []

  constructor(options: ConversationOptions) {
    this.#options = options
  }

  get messages(): readonly ChatMessage[] {
    const { system } = this.#options
    return system === undefined ? this.#turns : [{ role: 'system', content: system }, ...this.#turns]
  }

  /** Adds a question, and drops the oldest question-answer pairs until it fits; tells how many it dropped. */
  ask(content: string): number {
    const { maxSeqLen, reserve, countTokens } = this.#options
    this.#turns.push({ role: 'user', content })
    let numDropped = 0
    while (this.#turns.length > 2 && countTokens(this.messages) + reserve > maxSeqLen) {
      this.#turns = this.#turns.slice(2)
      numDropped++
    }
    return numDropped
  }

  answer(content: string): void {
    this.#turns.push({ role: 'assistant', content })
  }

  /** Takes back a question that got no answer. */
  unask(): void {
    if (this.#turns.at(-1)?.role === 'user') this.#turns.pop()
  }

  reset(): void {
    this.#turns = []
  }
}
