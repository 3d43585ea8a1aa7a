// System prompt of the conversation, sampling of the answers, look of the page.

import type { JSX } from 'preact'
import { useId, useState } from 'preact/hooks'
import type { Conversation } from '../conversation.ts'
import { embeddedModel } from '../../shared/engine.ts'
import type { Session } from '../session.ts'
import { controls, defaultSampling, parseSeed, type Control, type Settings } from '../settings.ts'
import type { Theme } from '../../shared/theme.ts'
import { Dialog } from '../../shared/view/dialog.tsx'

interface SettingsDialogProps {
  readonly isOpen: boolean
  readonly onClose: () => void
  readonly session: Session
  readonly settings: Settings
  readonly conversation: Conversation
  readonly modelLabel: string
}

export function SettingsDialog(props: SettingsDialogProps): JSX.Element {
  const { isOpen, onClose, session, settings, conversation, modelLabel } = props
  const { sampling } = settings
  return (
    <Dialog title="Settings" place="right" isOpen={isOpen} onClose={onClose}>
      <label class="field-group">
        System prompt of this conversation
        <textarea
          rows={3}
          value={conversation.system}
          placeholder="You are a helpful assistant."
          onInput={(event) => session.setSystem(conversation.id, event.currentTarget.value)}
        />
        {modelLabel === embeddedModel && (
          <span class="hint">{embeddedModel} was not trained on any; it ignores it.</span>
        )}
      </label>
      <fieldset class="field-group">
        <legend>Sampling</legend>
        {controls.map((control) => (
          <SamplingControl
            key={control.key}
            control={control}
            value={sampling[control.key]}
            onChange={(value) => session.setSampling({ [control.key]: value })}
          />
        ))}
        <SeedField seed={sampling.seed} onChange={(seed) => session.setSampling({ seed })} />
        <button type="button" onClick={() => session.setSampling(defaultSampling)}>
          Back to defaults
        </button>
      </fieldset>
      <ThemeChoice theme={settings.theme} onChange={(theme) => session.setTheme(theme)} />
    </Dialog>
  )
}

interface SamplingControlProps {
  readonly control: Control
  readonly value: number
  readonly onChange: (value: number) => void
}

function SamplingControl({ control, value, onChange }: SamplingControlProps): JSX.Element {
  const { label, hint, min, max, step } = control
  const id = useId()
  return (
    <div class="control">
      <label for={id}>{label}</label>
      <output for={id}>{value}</output>
      <input
        id={id}
        type="range"
        {...{ min, max, step, value }}
        aria-describedby={`${id}-hint`}
        onInput={(event) => onChange(event.currentTarget.valueAsNumber)}
      />
      <span class="hint" id={`${id}-hint`}>
        {hint}
      </span>
    </div>
  )
}

interface SeedFieldProps {
  readonly seed: number | undefined
  readonly onChange: (seed: number | undefined) => void
}

function SeedField({ seed, onChange }: SeedFieldProps): JSX.Element {
  const [text, setText] = useState(seed === undefined ? '' : String(seed))
  const parsed = parseSeed(text)
  const onInput = (value: string): void => {
    setText(value)
    const next = parseSeed(value)
    if (next !== undefined) onChange(next.seed)
  }
  return (
    <label class="control">
      Seed
      <input
        type="text"
        inputMode="numeric"
        value={text}
        placeholder="another one each time"
        aria-invalid={parsed === undefined}
        onInput={(event) => onInput(event.currentTarget.value)}
      />
      <span class="hint">
        {parsed === undefined
          ? 'A whole number of at least 0, or nothing.'
          : 'With the same seed, the same question gets the same answer.'}
      </span>
    </label>
  )
}

const themes: readonly (readonly [Theme, string])[] = [
  ['system', 'As the system'],
  ['light', 'Light'],
  ['dark', 'Dark'],
]

interface ThemeChoiceProps {
  readonly theme: Theme
  readonly onChange: (theme: Theme) => void
}

function ThemeChoice({ theme, onChange }: ThemeChoiceProps): JSX.Element {
  return (
    <fieldset class="field-group">
      <legend>Colours</legend>
      <div class="choices">
        {themes.map(([value, label]) => (
          <label key={value}>
            <input type="radio" name="theme" checked={theme === value} onChange={() => onChange(value)} />
            {label}
          </label>
        ))}
      </div>
    </fieldset>
  )
}
