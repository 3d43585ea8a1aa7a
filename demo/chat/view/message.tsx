// One message of the conversation: a question that can be edited, an answer with its figures and what can be done
// with it.

import type { FunctionComponent, JSX } from 'preact'
import { memo } from 'preact/compat'
import { useState } from 'preact/hooks'
import type { Answer, AnswerStats, Message, UserMessage } from '../conversation.ts'
import { formatMs } from '../../shared/progress.ts'
import type { Session } from '../session.ts'
import { CopyButton } from '../../shared/view/copyButton.tsx'
import { FaultCard } from '../../shared/view/faultCard.tsx'
import { IconButton } from '../../shared/view/icons.tsx'
import { MarkdownView } from './markdownView.tsx'
import { TextArea } from './textArea.tsx'

interface MessageProps<M extends Message> {
  readonly session: Session
  readonly conversationId: string
  readonly message: M
  readonly isLast: boolean
  /** An answer is being written in this conversation. */
  readonly isRunning: boolean
}

export const MessageView: FunctionComponent<MessageProps<Message>> = memo((props) => {
  const { message } = props
  return message.role === 'user' ? (
    <QuestionView {...props} message={message} />
  ) : (
    <AnswerView {...props} message={message} />
  )
})

function QuestionView({
  session,
  conversationId,
  message,
  isRunning,
}: MessageProps<UserMessage>): JSX.Element {
  const [isEditing, setEditing] = useState(false)
  if (isEditing) {
    const send = (text: string): void => {
      setEditing(false)
      session.editQuestion(conversationId, message.id, text)
    }
    return (
      <article class="message question editing" aria-label="Your message">
        <QuestionEditor text={message.content} onSend={send} onCancel={() => setEditing(false)} />
      </article>
    )
  }
  return (
    <article class="message question" aria-label="You said">
      <p class="bubble">{message.content}</p>
      <div class="actions">
        <CopyButton text={message.content} />
        {!isRunning && <IconButton icon="edit" label="Edit message" onClick={() => setEditing(true)} />}
      </div>
    </article>
  )
}

interface QuestionEditorProps {
  readonly text: string
  readonly onSend: (text: string) => void
  readonly onCancel: () => void
}

function QuestionEditor({ text, onSend, onCancel }: QuestionEditorProps): JSX.Element {
  const [draft, setDraft] = useState(text)
  const onEscape = (event: KeyboardEvent): void => {
    if (event.key !== 'Escape') return
    event.stopPropagation()
    onCancel()
  }
  const send = (written: string): void => {
    if (written.trim() !== '') onSend(written)
  }
  return (
    <form
      class="editor"
      onKeyDown={onEscape}
      onSubmit={(event) => {
        event.preventDefault()
        send(draft)
      }}
    >
      <TextArea label="Edited message" value={draft} onInput={setDraft} onEnter={send} hasFocus />
      <div class="editor-actions">
        <span class="hint">What came after it is replaced.</span>
        <button type="button" onClick={onCancel}>
          Cancel
        </button>
        <button type="submit" class="primary" disabled={draft.trim() === ''}>
          Send again
        </button>
      </div>
    </form>
  )
}

function AnswerView({
  session,
  conversationId,
  message,
  isLast,
  isRunning,
}: MessageProps<Answer>): JSX.Element {
  const { content, state, stats, fault, numLeftOut = 0 } = message
  const isWriting = state === 'waiting' || state === 'streaming'
  const regenerate = (): void => session.regenerate(conversationId, message.id)
  return (
    <article class={`message answer ${state}`} aria-label="Answer">
      {numLeftOut > 0 && (
        <p class="aside">
          The first {numLeftOut} messages no longer fit the model’s context and were left out.
        </p>
      )}
      {content !== '' && <MarkdownView text={content} />}
      {isWriting && content === '' && <Thinking />}
      {state === 'stopped' && <p class="aside">Stopped.</p>}
      {state === 'length' && <p class="aside">Cut off at the most tokens that the settings allow.</p>}
      {fault !== undefined && state === 'failed' && (
        <FaultCard fault={fault} {...(isLast && { action: { label: 'Try again', run: regenerate } })} />
      )}
      {!isWriting && (
        <footer class="actions">
          {content !== '' && <CopyButton text={content} />}
          {isLast && !isRunning && state !== 'failed' && (
            <IconButton icon="retry" label="Regenerate answer" onClick={regenerate} />
          )}
          {stats !== undefined && stats.tokens > 0 && <Stats stats={stats} />}
        </footer>
      )}
    </article>
  )
}

function Thinking(): JSX.Element {
  return (
    <p class="thinking" aria-label="Waiting for the answer">
      <span />
      <span />
      <span />
    </p>
  )
}

function Stats({ stats }: { readonly stats: AnswerStats }): JSX.Element {
  const { tokens, tokensPerSecond, firstTokenMs, seed, promptTokens, model } = stats
  const parts = [
    `${tokens} tokens`,
    tokensPerSecond === undefined ? '' : `${tokensPerSecond.toFixed(1)} tokens/s`,
    firstTokenMs === undefined ? '' : `first after ${formatMs(firstTokenMs)}`,
    `seed ${seed}`,
  ]
  const title = [model, promptTokens === undefined ? '' : `${promptTokens} tokens in the prompt`]
  const isKnown = (part: string): boolean => part !== ''
  return (
    <span class="stats" title={title.filter(isKnown).join(' · ')}>
      {parts.filter(isKnown).map((part) => (
        <span key={part}>{part} </span>
      ))}
    </span>
  )
}
