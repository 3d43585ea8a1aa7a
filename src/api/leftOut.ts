// Templates that leave messages out: whoever asked is told, once for a role. Not here: roles that no template knows (prompts.ts).

import { tell } from '../core/tell.ts'
import type { ChatMessage, ChatTemplate } from '../text/chatTemplate.ts'

export class LeftOut {
  readonly #onNotice: ((message: string) => void) | undefined
  /** A template does the same with a role every time, and rendering again is not free. */
  readonly #checkedRoles = new Set<string>()

  constructor(onNotice: ((message: string) => void) | undefined) {
    this.#onNotice = onNotice
  }

  /** Tells of messages without which the prompt would be the same. */
  check(template: ChatTemplate, messages: readonly ChatMessage[]): void {
    if (this.#onNotice === undefined) return
    for (const { role, content } of messages) {
      if (this.#checkedRoles.has(role) || content === null || content.trim() === '') continue
      this.#checkedRoles.add(role)
      if (isPrinted(template, messages, role)) continue
      void tell(
        this.#onNotice,
        `The chat template of this model leaves out messages of role ${role}: the answers do not depend on them.`,
      )
    }
  }
}

/**
 * Whether another content gives another prompt. Not whether none does: for a missing system message, templates print one of
 * their own, which may be the one that was given.
 */
function isPrinted(template: ChatTemplate, messages: readonly ChatMessage[], role: string): boolean {
  const changed = messages.map((message) =>
    message.role === role && message.content !== null
      ? { ...message, content: `${message.content} again` }
      : message,
  )
  // The same for both: templates may print the time.
  const now = new Date()
  try {
    return template.render(messages, { now }) !== template.render(changed, { now })
  } catch {
    // It looks at the content.
    return true
  }
}
