// The models that this browser keeps: load one again, offline too, or delete it.

import type { JSX } from 'preact'
import { useEffect, useState } from 'preact/hooks'
import type { CachedModel, PageEngine } from '../engine.ts'
import { formatBytes } from '../progress.ts'
import { IconButton } from './icons.tsx'

interface KeptModelsProps {
  readonly engine: PageEngine
  readonly onChoose: (name: string) => void
}

export function KeptModels({ engine, onChoose }: KeptModelsProps): JSX.Element | null {
  const [models, setModels] = useState<readonly CachedModel[]>([])
  const refresh = (): void => {
    engine.keptModels().then(setModels, () => setModels([]))
  }
  useEffect(refresh, [engine])
  if (models.length === 0) return null
  return (
    <div class="field-group">
      <p class="label">Kept in this browser</p>
      <ul class="kept">
        {models.map(({ model, cachedBytes, isComplete }) => (
          <li key={model} class="row">
            <button type="button" onClick={() => onChoose(model)}>
              <span>{model}</span>
              <span class="hint">
                {isComplete ? formatBytes(cachedBytes) : `${formatBytes(cachedBytes)} so far`}
              </span>
            </button>
            <IconButton
              icon="trash"
              label={`Delete ${model}`}
              onClick={() => void engine.deleteKept(model).finally(refresh)}
            />
          </li>
        ))}
      </ul>
    </div>
  )
}
