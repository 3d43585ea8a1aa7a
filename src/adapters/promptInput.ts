// What a page hands to the Prompt API, checked by its rules and made into chat messages. Text is all there is.

import type { ChatMessage } from '../api/types.ts'
import { notSupported } from './promptErrors.ts'

/** A text of the user's, or turns. */
export type PromptInput = string | readonly PromptMessage[]

/** One turn. */
export interface PromptMessage {
  /** Who speaks; `system` in the first turn of a session only. */
  role: 'system' | 'user' | 'assistant'
  /** Parts are joined without anything between. */
  content: string | readonly PromptContent[]
  /** Not supported: an answer that begins with this message. */
  prefix?: boolean
}

/** A part of a turn. */
export interface PromptContent {
  /** Others are refused with a NotSupportedError. */
  type: 'text'
  /** The text itself. */
  value: string
}

/** A kind of content. */
export interface ExpectedContent {
  /** Only `text` is available. */
  type: string
  /** Of no effect: what a model speaks is not known. */
  languages?: readonly string[]
}

/** What a session is to understand. */
export interface Expectations {
  /** Kinds that prompts will have. */
  expectedInputs?: readonly ExpectedContent[]
  /** Kinds that answers are to have. */
  expectedOutputs?: readonly ExpectedContent[]
  /** None are supported. */
  tools?: readonly unknown[]
}

/** What a session cannot have of that; undefined if it can have all. */
export function unsupportedOf({ expectedInputs, expectedOutputs, tools }: Expectations): string | undefined {
  if (tools !== undefined && tools.length > 0) return 'tools'
  return [...(expectedInputs ?? []), ...(expectedOutputs ?? [])].find(({ type }) => type !== 'text')?.type
}

/**
 * Messages of one text each. `isContinued`: the session has messages already, so none from the system may follow.
 * Throws TypeError, SyntaxError and NotSupportedError as the specification has it.
 */
export function toChatMessages(input: PromptInput, isContinued: boolean): ChatMessage[] {
  if (typeof input === 'string') return [{ role: 'user', content: input }]
  if (input.length === 0) return [{ role: 'user', content: '' }]
  return input.map(({ role, content, prefix }, index) => {
    if (!['system', 'user', 'assistant'].includes(role)) throw new TypeError(`role: not ${role}.`)
    if (prefix === true) {
      if (role !== 'assistant' || index < input.length - 1) {
        throw new DOMException('prefix: for the last message, from the assistant.', 'SyntaxError')
      }
      throw notSupported('prefix')
    }
    if (role === 'system' && (isContinued || index > 0)) {
      throw new TypeError('A system message comes first or not at all.')
    }
    return { role, content: typeof content === 'string' ? content : content.map(textOf).join('') }
  })
}

/** Pages are not type checked. */
function textOf({ type, value }: { type: string; value: unknown }): string {
  if (type !== 'text') throw notSupported(`${type} content`)
  if (typeof value !== 'string') throw new TypeError('Text content is a string.')
  return value
}
