// What the drawing shows: graph or plan, of which kind of step, coloured by what.

import type { JSX } from 'preact'
import { useId } from 'preact/hooks'
import type { InspectorState, Session } from '../session.ts'
import { planName } from '../shown.ts'

interface ToolbarProps {
  readonly session: Session
  readonly state: InspectorState
}

export function Toolbar({ session, state }: ToolbarProps): JSX.Element {
  const { inspection, view, plan, colour } = state
  return (
    <div class="toolbar">
      <Choice
        label="Show"
        value={view}
        options={[
          ['graph', 'Graph'],
          ['plan', 'Plan'],
        ]}
        onChange={(next) => session.show(next)}
      />
      <Choice
        label="Colour by"
        value={colour}
        options={[
          ['kind', 'Kind'],
          ['time', 'GPU time'],
        ]}
        onChange={(next) => session.colourBy(next)}
      />
      {inspection !== undefined && (
        <select
          aria-label="Kind of step"
          value={plan}
          onChange={(event) => session.showPlan(Number(event.currentTarget.value))}
        >
          {inspection.plans.map((_, index) => (
            <option key={index} value={index}>
              {planName(inspection, index)}
            </option>
          ))}
        </select>
      )}
    </div>
  )
}

interface ChoiceProps<T extends string> {
  readonly label: string
  readonly value: T
  readonly options: readonly (readonly [T, string])[]
  readonly onChange: (value: T) => void
}

/** A few radio buttons that look like one switch. */
export function Choice<T extends string>({ label, value, options, onChange }: ChoiceProps<T>): JSX.Element {
  const name = useId()
  return (
    <fieldset class="choice">
      <legend class="sr-only">{label}</legend>
      {options.map(([option, text]) => (
        <label key={option} class={option === value ? 'chosen' : ''}>
          <input type="radio" name={name} checked={option === value} onChange={() => onChange(option)} />
          {text}
        </label>
      ))}
    </fieldset>
  )
}
