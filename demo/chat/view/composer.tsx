// Where the user writes: the message, and the button that sends it or stops the answer.

import type { JSX } from 'preact'
import { useLayoutEffect, useRef, useState } from 'preact/hooks'
import { embeddedModel } from '../../shared/engine.ts'
import type { Session } from '../session.ts'
import { Icon } from '../../shared/view/icons.tsx'
import { TextArea } from './textArea.tsx'

interface ComposerProps {
  readonly session: Session
  readonly conversationId: string
  readonly isRunning: boolean
  readonly modelLabel: string
}

export function Composer({ session, conversationId, isRunning, modelLabel }: ComposerProps): JSX.Element {
  const [text, setText] = useState('')
  const field = useRef<HTMLTextAreaElement>(null)
  // Ready to type in a conversation that was just opened; not on a phone, where the keyboard would cover it. Before the
  // browser paints: later, it could take the focus from where the user has already gone.
  useLayoutEffect(() => {
    if (matchMedia('(hover: hover)').matches) field.current?.focus()
  }, [conversationId])
  const send = (written: string): void => {
    if (isRunning || written.trim() === '') return
    session.send(written)
    setText('')
    field.current?.focus()
  }
  const stop = (): void => {
    session.stop(conversationId)
    field.current?.focus()
  }
  return (
    <form
      class="composer"
      onSubmit={(event) => {
        event.preventDefault()
        send(text)
      }}
    >
      <div class="composer-box">
        <TextArea
          label="Message"
          placeholder={modelLabel === embeddedModel ? 'Ask for a story…' : 'Write a message…'}
          value={text}
          onInput={setText}
          onEnter={send}
          field={field}
        />
        {isRunning ? (
          <button type="button" class="round stop" aria-label="Stop" title="Stop (Esc)" onClick={stop}>
            <Icon name="stop" />
          </button>
        ) : (
          <button
            type="submit"
            class="round"
            aria-label="Send"
            title="Send (Enter)"
            disabled={text.trim() === ''}
          >
            <Icon name="send" />
          </button>
        )}
      </div>
      <p class="hint">
        <kbd>Enter</kbd> sends, <kbd>Shift</kbd> + <kbd>Enter</kbd> breaks the line. Nothing leaves this
        browser.
      </p>
    </form>
  )
}
