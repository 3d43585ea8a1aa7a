// The conversation, newest message at the bottom. Follows a growing answer until the user scrolls away from it.

import type { JSX, TargetedEvent } from 'preact'
import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks'
import type { Conversation } from '../conversation.ts'
import { embeddedModel } from '../../shared/engine.ts'
import type { Session } from '../session.ts'
import icon from '../../shared/icon.svg'
import { Icon } from '../../shared/view/icons.tsx'
import { MessageView } from './message.tsx'

interface LogProps {
  readonly session: Session
  readonly conversation: Conversation
  readonly isRunning: boolean
  readonly modelLabel: string
}

const nearPixels = 48

export function Log({ session, conversation, isRunning, modelLabel }: LogProps): JSX.Element {
  const { id, messages } = conversation
  const log = useRef<HTMLDivElement>(null)
  const [isFollowing, setFollowing] = useState(true)
  const toEnd = (): void => {
    const { current } = log
    if (current !== null) current.scrollTop = current.scrollHeight
  }
  useEffect(() => setFollowing(true), [id, messages.length])
  useLayoutEffect(() => {
    if (isFollowing) toEnd()
  }, [id, messages, isFollowing])
  const onScroll = ({ currentTarget }: TargetedEvent<HTMLDivElement>): void => {
    const { scrollHeight, scrollTop, clientHeight } = currentTarget
    setFollowing(scrollHeight - scrollTop - clientHeight < nearPixels)
  }
  return (
    <div class="log-frame">
      <div
        ref={log}
        class="log"
        role="log"
        aria-label="Conversation"
        aria-live="polite"
        aria-busy={isRunning}
        tabIndex={0}
        onScroll={onScroll}
      >
        {messages.length === 0 ? (
          <Welcome modelLabel={modelLabel} onPick={(text) => session.send(text)} />
        ) : (
          <div class="messages">
            {messages.map((message, index) => (
              <MessageView
                key={message.id}
                session={session}
                conversationId={id}
                message={message}
                isLast={index === messages.length - 1}
                isRunning={isRunning}
              />
            ))}
          </div>
        )}
      </div>
      {!isFollowing && (
        <button type="button" class="to-end" onClick={() => setFollowing(true)}>
          <Icon name="down" /> Latest
        </button>
      )}
    </div>
  )
}

const examples = ['dog', 'boat', 'queen'].map((topic) => ({
  title: `A ${topic}`,
  text: `Tell me a story about a ${topic}.`,
}))

interface WelcomeProps {
  readonly modelLabel: string
  readonly onPick: (text: string) => void
}

function Welcome({ modelLabel, onPick }: WelcomeProps): JSX.Element {
  return (
    <div class="welcome">
      <img src={icon} alt="" width="56" height="56" />
      <h2>A language model in this tab</h2>
      <p>
        {modelLabel === embeddedModel
          ? `${embeddedModel} is tiny and knows one thing: short stories for children. Ask for one about an animal, a person or a vehicle, or choose a larger model above.`
          : `${modelLabel} runs on this computer. What you write is read here and sent nowhere.`}
      </p>
      <ul class="examples">
        {examples.map(({ title, text }) => (
          <li key={text}>
            <button type="button" onClick={() => onPick(text)}>
              <strong>{title}</strong>
              <span>{text}</span>
            </button>
          </li>
        ))}
      </ul>
    </div>
  )
}
