// The list of conversations: open, new, rename, export, delete.

import type { JSX, TargetedKeyboardEvent } from 'preact'
import { useState } from 'preact/hooks'
import { exportDocument, isEmpty, type Conversation } from '../conversation.ts'
import { saveJson } from '../download.ts'
import type { Session } from '../session.ts'
import { Icon, IconButton } from '../../shared/view/icons.tsx'

interface SidebarProps {
  readonly session: Session
  readonly conversations: readonly Conversation[]
  readonly currentId: string
  readonly running: ReadonlySet<string>
  /** After a conversation was chosen. */
  readonly onChosen: () => void
}

export function Sidebar({ session, conversations, currentId, running, onChosen }: SidebarProps): JSX.Element {
  const create = (): void => {
    session.create()
    onChosen()
  }
  const shown = conversations.filter((conversation) => !isEmpty(conversation))
  return (
    <nav class="sidebar" aria-label="Conversations">
      <button type="button" class="new" onClick={create}>
        <Icon name="plus" /> New conversation
      </button>
      <ul>
        {shown.map((conversation) => (
          <Entry
            key={conversation.id}
            session={session}
            conversation={conversation}
            isCurrent={conversation.id === currentId}
            isRunning={running.has(conversation.id)}
            onChosen={onChosen}
          />
        ))}
      </ul>
      {shown.length === 0 && <p class="hint">Your conversations are kept in this browser.</p>}
    </nav>
  )
}

interface EntryProps {
  readonly session: Session
  readonly conversation: Conversation
  readonly isCurrent: boolean
  readonly isRunning: boolean
  readonly onChosen: () => void
}

function Entry({ session, conversation, isCurrent, isRunning, onChosen }: EntryProps): JSX.Element {
  const [isRenaming, setRenaming] = useState(false)
  const { id, title } = conversation
  if (isRenaming) {
    const done = (text: string): void => {
      setRenaming(false)
      session.rename(id, text)
    }
    return (
      <li class="entry renaming">
        <TitleField title={title} onDone={done} onCancel={() => setRenaming(false)} />
      </li>
    )
  }
  const choose = (): void => {
    session.select(id)
    onChosen()
  }
  return (
    <li class={`entry ${isCurrent ? 'current' : ''}`}>
      <button type="button" class="title" aria-current={isCurrent} title={title} onClick={choose}>
        {isRunning && <span class="dot" role="img" aria-label="Answering" />}
        <span>{title}</span>
      </button>
      <span class="entry-actions">
        <IconButton icon="edit" label={`Rename “${title}”`} onClick={() => setRenaming(true)} />
        <IconButton
          icon="download"
          label={`Export “${title}” as JSON`}
          onClick={() => saveJson(`${title}.json`, exportDocument(conversation))}
        />
        <IconButton icon="trash" label={`Delete “${title}”`} onClick={() => session.remove(id)} />
      </span>
    </li>
  )
}

interface TitleFieldProps {
  readonly title: string
  readonly onDone: (title: string) => void
  readonly onCancel: () => void
}

function TitleField({ title, onDone, onCancel }: TitleFieldProps): JSX.Element {
  const onKeyDown = (event: TargetedKeyboardEvent<HTMLInputElement>): void => {
    if (event.key === 'Enter' && !event.isComposing) onDone(event.currentTarget.value)
    if (event.key !== 'Escape') return
    // Neither the drawer nor an answer is meant.
    event.preventDefault()
    event.stopPropagation()
    onCancel()
  }
  return (
    <input
      type="text"
      aria-label="Title of the conversation"
      defaultValue={title}
      ref={(field) => field?.focus()}
      onFocus={(event) => event.currentTarget.select()}
      onKeyDown={onKeyDown}
      onBlur={(event) => onDone(event.currentTarget.value)}
    />
  )
}
