// What a request asks → token ids, checked. Not here: what else it says (sampling.ts), or whether ids and their number suit
// the model (engine/llm/llmEngine.ts).

import { RuntimeFault } from '../core/errors.ts'
import { isRecord, shown } from '../core/values.ts'
import type { ChatMessage } from '../text/chatTemplate.ts'
import { encodeChat, type Tokenizer } from '../text/tokenizer.ts'
import type { LeftOut } from './leftOut.ts'
import { inputFault } from './options.ts'
import type { ChatCompletionRequest } from './types.ts'

type RequestMessages = ChatCompletionRequest['messages']

/** Token ids of a text, or the given ones. Throws engine/input, text/tokenizer for a text without a tokenizer. */
export function encodePrompt(
  tokenizer: Tokenizer | undefined,
  prompt: string | readonly number[],
): readonly number[] {
  if (typeof prompt === 'string') return requireTokenizer(tokenizer).encode(prompt)
  checkOnePrompt(prompt)
  return checkTokens('prompt', 'a text or token ids', prompt)
}

/**
 * Token ids of a conversation up to where the assistant speaks; `leftOut` tells of messages that its template leaves out.
 * Throws engine/input, text/template, text/tokenizer.
 */
export function encodeMessages(
  tokenizer: Tokenizer | undefined,
  messages: RequestMessages,
  leftOut: LeftOut,
): readonly number[] {
  const checked = checkMessages(messages)
  const { chatTemplate } = requireTokenizer(tokenizer)
  const tokens = encodeChat(requireTokenizer(tokenizer), checked, { addGenerationPrompt: true })
  if (chatTemplate !== undefined) leftOut.check(chatTemplate, checked)
  return tokens
}

/** The list, typed arrays among them; throws engine/input for what is none. */
export function checkTokens(where: string, expected: string, tokens: readonly number[]): readonly number[] {
  if (Array.isArray(tokens) || (ArrayBuffer.isView(tokens) && 'length' in tokens)) return tokens
  throw inputFault(where, expected, tokens)
}

/** OpenAI's lists of prompts, of which each gets an answer of its own. */
function checkOnePrompt(prompt: unknown): void {
  const isText = (item: unknown): boolean => typeof item === 'string'
  if (!Array.isArray(prompt) || !prompt.some((item) => isText(item) || Array.isArray(item))) return
  throw new RuntimeFault('engine/input', {
    where: 'prompt',
    expected: 'one text, or the token ids of one',
    got: shown(prompt),
    fix: 'Make a request for each prompt: several in one are not supported.',
  })
}

const roles: readonly string[] = ['system', 'developer', 'user', 'assistant', 'tool']

/** Templates print whatever they are given, or nothing: a wrong type or role would become a wrong prompt. */
function checkMessages(messages: RequestMessages): ChatMessage[] {
  if (!Array.isArray(messages)) throw inputFault('messages', 'a list of messages', messages)
  if (messages.length === 0) throw inputFault('messages', 'at least one message', messages)
  // Array.from: `map` passes over holes.
  return Array.from(messages as RequestMessages, (message, index) => {
    const where = `messages[${index}]`
    if (!isRecord(message)) throw inputFault(where, 'a message', message)
    const { role } = message
    if (typeof role !== 'string' || !roles.includes(role))
      throw inputFault(`${where}.role`, 'system, developer, user, assistant or tool', role)
    return { ...message, content: contentOf(`${where}.content`, message) }
  })
}

function contentOf(where: string, { content, tool_calls }: Record<string, unknown>): string | null {
  if (typeof content === 'string' || content === null) return content
  if (content === undefined && Array.isArray(tool_calls)) return null
  if (!Array.isArray(content)) throw inputFault(where, 'a text, parts of text, or null', content)
  return Array.from<unknown, string>(content, (part, index) => textOf(`${where}[${index}]`, part)).join('')
}

function textOf(where: string, part: unknown): string {
  if (!isRecord(part)) throw inputFault(where, 'a part of type text', part)
  const { type, text } = part
  if (type !== 'text') throw inputFault(where, 'a part of type text', type)
  if (typeof text !== 'string') throw inputFault(`${where}.text`, 'a text', text)
  return text
}

function requireTokenizer(tokenizer: Tokenizer | undefined): Tokenizer {
  if (tokenizer !== undefined) return tokenizer
  throw new RuntimeFault('text/tokenizer', {
    where: 'prompt',
    expected: 'a model with a tokenizer, for a text',
    got: 'a model without',
    fix: 'Add tokenizer.json to its folder, or use a GGUF file that carries one; token ids need none.',
  })
}
