// Prompts of the Vercel AI SDK → chat messages. Text passes, a history's reasoning is left out with a warning, and what
// the answer would need but the model cannot see is refused.

import type { LanguageModelV4Prompt, SharedV4Warning } from '@ai-sdk/provider'
import type { ChatMessage } from '../api/types.ts'
import { RuntimeFault } from '../core/errors.ts'

type Part = Exclude<LanguageModelV4Prompt[number], { role: 'system' }>['content'][number]

/** Throws engine/input, which the SDK knows as an UnsupportedFunctionalityError, for files and uses of tools. */
export function toChatMessages(prompt: LanguageModelV4Prompt): {
  messages: ChatMessage[]
  warnings: SharedV4Warning[]
} {
  const leftOut = new Set<Part['type']>()
  const textOf = (part: Part): string => {
    switch (part.type) {
      case 'text':
        return part.text
      case 'reasoning':
      case 'reasoning-file':
      case 'custom':
        leftOut.add(part.type)
        return ''
      case 'file':
      case 'tool-call':
      case 'tool-result':
      case 'tool-approval-response':
        throw unsupported(`${part.type} parts in prompts`)
      default:
        part satisfies never
        throw unsupported('unknown parts in prompts')
    }
  }
  const messages = prompt.map(({ role, content }) => ({
    role,
    content: typeof content === 'string' ? content : content.map(textOf).join(''),
  }))
  const warnings = [...leftOut].map((type) => ({
    type: 'unsupported' as const,
    feature: `${type} parts in prompts`,
    details: 'They were left out.',
  }))
  return { messages, warnings }
}

/** A fault that passes the SDK's `UnsupportedFunctionalityError.isInstance`, which looks for these marks. */
function unsupported(functionality: string): RuntimeFault {
  const name = 'AI_UnsupportedFunctionalityError'
  const fault = new RuntimeFault('engine/input', {
    where: 'prompt',
    expected: 'text',
    got: functionality,
    fix: 'Send text alone, or use a model that takes more.',
  })
  const marks = { [Symbol.for('vercel.ai.error')]: true, [Symbol.for(`vercel.ai.error.${name}`)]: true }
  return Object.assign(fault, { name, functionality }, marks)
}
