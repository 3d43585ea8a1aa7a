// The model of the page and the adapter that it runs on; a click leads to the choice of another.

import type { JSX } from 'preact'
import type { ModelState } from '../modelLoader.ts'
import { formatBytes } from '../progress.ts'
import { Icon } from './icons.tsx'

interface ModelButtonProps {
  readonly model: ModelState
  readonly onClick: () => void
}

export function ModelButton({ model, onClick }: ModelButtonProps): JSX.Element {
  return (
    <div class="model">
      <button type="button" class="model-button" aria-haspopup="dialog" onClick={onClick}>
        <span class="sr-only">Model: </span>
        <span class="model-name">{model.label}</span>
        <Icon name="chevron" />
      </button>
      <AdapterLine model={model} />
    </div>
  )
}

function AdapterLine({ model: { engine, status } }: { readonly model: ModelState }): JSX.Element {
  if (engine === undefined) {
    const text = { none: 'No model is loaded.', loading: 'Loading…', failed: 'Did not load.', ready: '' }
    return <p class="adapter">{text[status]}</p>
  }
  const { adapter } = engine
  const hasF16 = adapter.features.includes('shader-f16')
  const parts = [
    adapter.description,
    ...(adapter.isSoftware ? ['software, slow'] : []),
    hasF16 ? 'f16' : 'no f16',
    formatBytes(engine.memoryBytes()),
  ]
  const title = `${adapter.isSoftware ? 'Runs on CPU cores: right answers, slowly. ' : ''}${hasF16 ? '' : 'Without f16 in shaders, halves are computed as floats. '}`
  return (
    <p class="adapter" title={title.trim()}>
      {adapter.isSoftware && <Icon name="warning" />}
      <span>{parts.join(' · ')}</span>
    </p>
  )
}
