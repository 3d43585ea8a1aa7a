// What was selected, in full: an op with its operands and dispatches, or a dispatch with its buffers and code.

import type { ComponentChildren, JSX } from 'preact'
import type { DispatchInspection, ModelInspection } from '../../shared/engine.ts'
import { formatBytes } from '../../shared/progress.ts'
import { CopyButton } from '../../shared/view/copyButton.tsx'
import { IconButton } from '../../shared/view/icons.tsx'
import { typeOf } from '../diagram/graphDiagram.ts'
import type { InspectorState, Selection, Session } from '../session.ts'
import { planName, profileOf } from '../shown.ts'
import { formatAttribute, formatTime, shortName } from '../names.ts'

interface DetailsProps {
  readonly session: Session
  readonly state: InspectorState
  readonly inspection: ModelInspection
  readonly selection: Selection
}

export function Details({ session, state, inspection, selection }: DetailsProps): JSX.Element {
  const { dispatches } = inspection.plans[state.plan]!
  const index = selection.kind === 'op' ? selection.index : dispatches[selection.index]!.opIndex
  const op = inspection.graph.ops[index]!
  const own = dispatches.flatMap((dispatch, at) =>
    (selection.kind === 'op' ? dispatch.opIndex === index : at === selection.index) ? [at] : [],
  )
  return (
    <aside class="details" aria-label="Details">
      <header>
        <div>
          <h2>{selection.kind === 'op' ? op.kind : dispatches[selection.index]!.variant}</h2>
          <p class="path">{op.origin}</p>
        </div>
        <IconButton icon="close" label="Close details" onClick={() => session.select(undefined)} />
      </header>
      <Operands {...{ inspection, index }} plan={state.plan} />
      {own.map((at) => (
        <DispatchPart
          key={at}
          {...{ session, state, inspection, at }}
          isOnly={selection.kind === 'dispatch'}
        />
      ))}
      {own.length === 0 && <p class="hint">A view of another tensor: nothing runs for it.</p>}
    </aside>
  )
}

interface OperandsProps {
  readonly inspection: ModelInspection
  /** Of the op. */
  readonly index: number
  readonly plan: number
}

function Operands({ inspection, index, plan }: OperandsProps): JSX.Element {
  const { graph, plans } = inspection
  const { inputs, outputs, attrs } = graph.ops[index]!
  const { valueBytes } = plans[plan]!
  const rows = (operands: Readonly<Record<string, number>>, arrow: string): JSX.Element[] =>
    Object.entries(operands).map(([name, id]) => {
      const value = graph.values[id]!
      const what = value.source === 'op' ? (value.state === undefined ? '' : 'state') : value.source
      return (
        <li key={`${arrow}${name}`}>
          <span>
            <span class="hint" aria-hidden="true">
              {arrow}
            </span>{' '}
            {name}
          </span>
          <code>{typeOf(value)}</code>
          <span class="number">{formatBytes(valueBytes[id]!)}</span>
          <span class="name" title={value.expr ?? value.name}>
            {what} {shortName(value.name)}
          </span>
        </li>
      )
    })
  return (
    <>
      <ul
        class="operands"
        aria-label="Operands and results, with their bytes in the largest step of this kind"
      >
        {rows(inputs, '→')}
        {rows(outputs, '←')}
      </ul>
      <Facts facts={Object.entries(attrs).map(([name, value]) => [name, formatAttribute(value)])} />
    </>
  )
}

/** Pairs of a name and a value, as small labels. */
function Facts({
  facts,
}: {
  readonly facts: readonly (readonly [string, ComponentChildren])[]
}): JSX.Element | null {
  if (facts.length === 0) return null
  return (
    <dl class="facts">
      {facts.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  )
}

interface DispatchPartProps {
  readonly session: Session
  readonly state: InspectorState
  readonly inspection: ModelInspection
  /** Of the plan that is shown. */
  readonly at: number
  /** Its name already stands above. */
  readonly isOnly: boolean
}

function DispatchPart({ session, state, inspection, at, isOnly }: DispatchPartProps): JSX.Element {
  const { plan, profiling } = state
  const dispatch = inspection.plans[plan]!.dispatches[at]!
  const { variant, grid, workgroupSize, shader } = dispatch
  const ms = profileOf(profiling, plan)?.dispatchMs[at]
  const code = inspection.shaders[shader]!
  return (
    <section>
      <h3>
        {isOnly ? (
          `Dispatch ${at + 1}`
        ) : (
          <button type="button" onClick={() => session.select({ kind: 'dispatch', index: at })}>
            {variant}
          </button>
        )}{' '}
        <span class="hint">{planName(inspection, plan)}</span>
      </h3>
      <Facts
        facts={[
          ['workgroups', grid.join(' × ')],
          ['of', `${workgroupSize.join(' × ')} invocations`],
          ['time', ms === undefined ? 'not measured' : formatTime(ms)],
        ]}
      />
      <Buffers {...{ session, inspection, dispatch, plan }} />
      <details class="code">
        <summary>WGSL, {code.trimEnd().split('\n').length} lines</summary>
        <div class="code-box">
          <CopyButton text={code} />
          <pre tabIndex={0} aria-label={`WGSL of ${variant}`}>
            {code}
          </pre>
        </div>
      </details>
    </section>
  )
}

interface BuffersProps {
  readonly session: Session
  readonly inspection: ModelInspection
  readonly dispatch: DispatchInspection
  readonly plan: number
}

/** A click on one shows who else uses it. */
function Buffers({ session, inspection, dispatch, plan }: BuffersProps): JSX.Element {
  const { buffers } = inspection.plans[plan]!
  return (
    <ul class="buffers" aria-label="Buffers">
      {dispatch.bindings.map(({ buffer, offset, access, bytes }, binding) => {
        const { role, label } = buffers[buffer]!
        return (
          <li key={binding}>
            <button
              type="button"
              title="Show all dispatches that use it"
              onClick={() => session.highlight({ kind: 'buffer', id: buffer })}
            >
              <span class={`role ${role}`}>{role}</span>
              <span class="name" title={label}>
                {role === 'step' ? `inputs, from byte ${offset}` : shortName(label)}
              </span>
              <span class="number">
                {access === 'read' ? '' : 'writes '}
                {formatBytes(bytes)}
              </span>
            </button>
          </li>
        )
      })}
    </ul>
  )
}
