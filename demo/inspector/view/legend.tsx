// What the colours of the drawing mean.

import type { JSX } from 'preact'
import type { StepProfile } from '../../shared/engine.ts'
import type { ChipKind } from '../diagram/diagram.ts'
import { cssColour, faded, familyNames, type Family, type Palette } from '../render/colours.ts'
import type { Profiling } from '../session.ts'
import { formatTime } from '../names.ts'

interface FamilyLegendProps {
  readonly palette: Palette
  /** Those that are there, in any order. */
  readonly families: readonly Family[]
  readonly chips: readonly ChipKind[]
}

const chipNames: Readonly<Record<ChipKind, string>> = {
  weight: 'weights',
  state: 'state',
  input: 'inputs of the step',
  arena: 'arena buffers',
}

export function FamilyLegend({ palette, families, chips }: FamilyLegendProps): JSX.Element {
  const shown = (Object.keys(familyNames) as Family[]).filter((family) => families.includes(family))
  return (
    <ul class="legend" aria-label="Colours">
      {shown.map((family) => (
        <li key={family}>
          <span class="swatch" style={{ background: cssColour(palette.families[family]) }} />
          {familyNames[family]}
        </li>
      ))}
      {(Object.keys(chipNames) as ChipKind[])
        .filter((kind) => chips.includes(kind))
        .map((kind) => (
          <li key={kind}>
            <span class="swatch bar" style={{ background: cssColour(faded(palette.chips[kind], 0.45)) }} />
            {chipNames[kind]}
          </li>
        ))}
    </ul>
  )
}

interface HeatLegendProps {
  readonly palette: Palette
  readonly profiling: Profiling
  readonly profile: StepProfile | undefined
}

export function HeatLegend({ palette, profiling, profile }: HeatLegendProps): JSX.Element {
  if (profile === undefined) return <p class="legend">{reasonFor(profiling)}</p>
  const { dispatchMs, kind } = profile
  return (
    <p class="legend">
      <span>0</span>
      <span
        class="ramp"
        style={{ background: `linear-gradient(90deg, ${palette.heat.map(cssColour).join(', ')})` }}
      />
      <span>
        {formatTime(Math.max(...dispatchMs))} of a {kind} step
      </span>
    </p>
  )
}

function reasonFor({ status }: Profiling): string {
  switch (status) {
    case 'none':
      return 'Not measured yet.'
    case 'running':
      return 'Measuring…'
    case 'failed':
      return 'GPU time cannot be measured here; see the panel.'
    case 'done':
      return 'Steps of this kind were not measured; choose another kind.'
    default:
      return status satisfies never
  }
}
