// Where the GPU's time goes, kernel by kernel: a bar each, longest first. A click shows where the kernel runs.

import type { JSX } from 'preact'
import { useState } from 'preact/hooks'
import type { KernelTime, ModelInspection, StepProfile } from '../../shared/engine.ts'
import type { ShownFault } from '../../shared/fault.ts'
import { cssColour, familyOf, type Palette } from '../render/colours.ts'
import type { Profiling, Session } from '../session.ts'
import { formatTime } from '../names.ts'
import { Choice } from './toolbar.tsx'

interface TimePanelProps {
  readonly session: Session
  readonly profiling: Profiling
  readonly inspection: ModelInspection | undefined
  readonly palette: Palette
}

export function TimePanel({ session, profiling, inspection, palette }: TimePanelProps): JSX.Element {
  const isRunning = profiling.status === 'running'
  return (
    <section class="panel" aria-label="GPU time">
      <h2>
        GPU time by kernel
        <button
          type="button"
          class="small"
          disabled={inspection === undefined || isRunning}
          onClick={() => void session.profile()}
        >
          {isRunning ? 'Measuring…' : profiling.status === 'done' ? 'Measure again' : 'Measure'}
        </button>
      </h2>
      {profiling.status === 'none' && (
        <p class="hint">Times every kernel of a short text by the GPU’s own clock.</p>
      )}
      {profiling.status === 'failed' && <Refusal fault={profiling.fault} />}
      {profiling.status === 'done' && <Profiles {...{ session, palette }} profiles={profiling.profiles} />}
    </section>
  )
}

function Refusal({ fault }: { readonly fault: ShownFault }): JSX.Element {
  return fault.code === 'device/feature' ? (
    <p class="hint" role="status">
      This adapter cannot time its work: it lacks <code>timestamp-query</code>. Everything else works without
      it.
    </p>
  ) : (
    <p class="hint" role="status">
      <code>{fault.code}</code> {fault.message}
    </p>
  )
}

interface ProfilesProps {
  readonly session: Session
  readonly palette: Palette
  readonly profiles: readonly StepProfile[]
}

function Profiles({ session, palette, profiles }: ProfilesProps): JSX.Element | null {
  const kinds = (['decode', 'prefill'] as const).filter((kind) => profiles.some((one) => one.kind === kind))
  const [chosen, setChosen] = useState<StepProfile['kind']>('decode')
  const profile = profiles.find(({ kind }) => kind === chosen) ?? profiles[0]
  if (profile === undefined) return null
  const { kind, steps, tokens, ms, kernels } = profile
  return (
    <>
      <div class="row">
        <Choice
          label="Kind of step"
          value={kind}
          options={kinds.map((value) => [value, value === 'decode' ? 'Decode' : 'Prefill'] as const)}
          onChange={setChosen}
        />
        <span class="hint">
          {formatTime(ms)} a step of {tokens} {tokens === 1 ? 'token' : 'tokens'}
          {steps > 1 && `, mean of ${steps}`}
        </span>
      </div>
      <ol class="bars" aria-label="Kernels">
        {kernels.map((kernel) => (
          <KernelRow
            key={`${kernel.variant} ${kernel.origin}`}
            kernel={kernel}
            longest={kernels[0]!.ms}
            colour={cssColour(palette.families[familyOf(kernel.op)])}
            onClick={() => session.highlightKernel(profile, kernel)}
          />
        ))}
      </ol>
      <p class="hint">Each dispatch runs alone while it is timed; browsers round the clock.</p>
    </>
  )
}

interface KernelRowProps {
  readonly kernel: KernelTime
  readonly longest: number
  readonly colour: string
  readonly onClick: () => void
}

function KernelRow({ kernel, longest, colour, onClick }: KernelRowProps): JSX.Element {
  const { variant, origin, ms, share, dispatches } = kernel
  return (
    <li>
      <button type="button" title="Show where it runs" onClick={onClick}>
        <span class="name">
          {origin.replace('layers.*.', '')}{' '}
          <span class="hint">
            {variant}
            {dispatches > 1 && ` × ${dispatches}`}
          </span>
        </span>
        <span class="number">
          {formatTime(ms)} <span class="hint">{Math.round(share * 100)} %</span>
        </span>
        <span class="track">
          <span style={{ width: `${longest === 0 ? 0 : (100 * ms) / longest}%`, background: colour }} />
        </span>
      </button>
    </li>
  )
}
