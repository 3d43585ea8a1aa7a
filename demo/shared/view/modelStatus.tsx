// What stands between the user and a model: a load in progress, a fault, a browser without WebGPU.

import type { JSX } from 'preact'
import type { ModelActions, ModelState } from '../modelLoader.ts'
import { progressLine } from '../progress.ts'
import { missingAdapter, missingWebGpu, surroundings, type Guidance } from '../webgpu.ts'
import { FaultCard } from './faultCard.tsx'
import { Icon } from './icons.tsx'

interface ModelStatusProps {
  readonly actions: ModelActions
  readonly model: ModelState
  readonly onChoose: () => void
}

/** The region is always there, so that screen readers hear what comes into it. */
export function ModelStatus(props: ModelStatusProps): JSX.Element {
  return (
    <div class="model-status" role="status" aria-label="Model">
      <Content {...props} />
    </div>
  )
}

function Content({ actions, model, onChoose }: ModelStatusProps): JSX.Element | null {
  const missing = missingWebGpu(surroundings())
  if (missing !== undefined) return <GuidanceCard guidance={missing} />
  switch (model.status) {
    case 'loading':
      return <Loading model={model} onCancel={() => actions.cancelLoad()} />
    case 'failed':
      return <Failed model={model} actions={actions} onChoose={onChoose} />
    case 'none':
      return (
        <div class="loading">
          <p>No model is loaded.</p>
          <button type="button" onClick={() => actions.reload()}>
            Load {model.choice === undefined ? 'the embedded one' : model.label}
          </button>
          <button type="button" onClick={onChoose}>
            Choose another
          </button>
        </div>
      )
    case 'ready':
      return null
    default:
      return model.status satisfies never
  }
}

function Loading({
  model,
  onCancel,
}: {
  readonly model: ModelState
  readonly onCancel: () => void
}): JSX.Element {
  const { progress, label } = model
  const share = progress?.share
  return (
    <div class="loading">
      <p>
        <strong>{label}</strong> <span>{progress === undefined ? 'Opening' : progressLine(progress)}</span>
      </p>
      {share === undefined ? (
        <progress aria-label={`Loading ${label}`} />
      ) : (
        <progress aria-label={`Loading ${label}`} max={1} value={share} />
      )}
      <button type="button" onClick={onCancel}>
        Cancel
      </button>
    </div>
  )
}

function Failed({ actions, model, onChoose }: ModelStatusProps): JSX.Element {
  const { fault } = model
  return (
    <div class="load-failed">
      {fault?.code === 'device/adapter' && <GuidanceCard guidance={missingAdapter(navigator.userAgent)} />}
      {fault !== undefined && <FaultCard fault={fault} />}
      <p class="row load-failed-actions">
        <button type="button" class="primary" onClick={() => actions.reload()}>
          Load again
        </button>
        <button type="button" onClick={onChoose}>
          Choose another model
        </button>
      </p>
    </div>
  )
}

function GuidanceCard({ guidance: { title, steps } }: { readonly guidance: Guidance }): JSX.Element {
  return (
    <section class="guidance">
      <h2>
        <Icon name="warning" /> {title}
      </h2>
      <ul>
        {steps.map((step) => (
          <li key={step}>{step}</li>
        ))}
      </ul>
    </section>
  )
}
