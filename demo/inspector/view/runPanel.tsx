// A prompt, and texts that are written side by side while one looks at what that does.

import type { JSX } from 'preact'
import { useState } from 'preact/hooks'
import { FaultCard } from '../../shared/view/faultCard.tsx'
import { Icon } from '../../shared/view/icons.tsx'
import { cssColour, sequenceColour, type Palette } from '../render/colours.ts'
import type { Run, Session } from '../session.ts'
import { Choice } from './toolbar.tsx'

interface RunPanelProps {
  readonly session: Session
  readonly runs: readonly Run[]
  readonly isReady: boolean
  readonly palette: Palette
}

const counts = ['1', '2', '4'] as const

export function RunPanel({ session, runs, isReady, palette }: RunPanelProps): JSX.Element {
  const [prompt, setPrompt] = useState('Tell me a story about a dog.')
  const [count, setCount] = useState<(typeof counts)[number]>('2')
  const isRunning = runs.some(({ status }) => status === 'running')
  const run = (event: Event): void => {
    event.preventDefault()
    session.run(prompt, Number(count))
  }
  return (
    <section class="panel" aria-label="Run">
      <form class="run" onSubmit={run}>
        <input
          type="text"
          aria-label="Prompt"
          value={prompt}
          onInput={(event) => setPrompt(event.currentTarget.value)}
        />
        <Choice
          label="Texts at once"
          value={count}
          options={counts.map((value) => [value, `${value}×`] as const)}
          onChange={setCount}
        />
        {isRunning ? (
          <button type="button" onClick={() => session.stop()}>
            <Icon name="stop" /> Stop
          </button>
        ) : (
          <button type="submit" class="primary" disabled={!isReady || prompt.trim() === ''}>
            Run
          </button>
        )}
      </form>
      {runs.length > 0 && (
        <ol class="runs" aria-label="Texts">
          {runs.map(({ id, text, status, fault }, index) => (
            <li key={id} aria-busy={status === 'running'}>
              <span class="swatch" style={{ background: cssColour(sequenceColour(palette, index + 1)) }} />
              {fault === undefined ? <p>{text === '' ? '…' : text}</p> : <FaultCard fault={fault} />}
            </li>
          ))}
        </ol>
      )}
    </section>
  )
}
