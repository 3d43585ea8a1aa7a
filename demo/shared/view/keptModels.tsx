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
        {models.map((model) => (
          <KeptModel
            key={idOf(model)}
            model={model}
            onChoose={onChoose}
            onDelete={() => void engine.deleteKept(idOf(model)).finally(refresh)}
          />
        ))}
      </ul>
    </div>
  )
}

interface KeptModelProps {
  readonly model: CachedModel
  readonly onChoose: (name: string) => void
  readonly onDelete: () => void
}

function KeptModel({ model, onChoose, onDelete }: KeptModelProps): JSX.Element {
  const { cachedBytes, isComplete } = model
  const name = model.revision === 'main' ? model.model : idOf(model)
  return (
    <li class="row">
      <button type="button" onClick={() => onChoose(name)}>
        <span>{name}</span>
        <span class="hint">
          {isComplete ? formatBytes(cachedBytes) : `${formatBytes(cachedBytes)} so far`}
        </span>
      </button>
      <IconButton icon="trash" label={`Delete ${name}`} onClick={onDelete} />
    </li>
  )
}

/** Of one revision: without it, a name means all. */
const idOf = ({ model, revision }: CachedModel): string =>
  revision === undefined ? model : `${model}@${revision}`
