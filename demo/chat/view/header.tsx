// The top of the page: the model and the adapter that it runs on, and the ways to the dialogs.

import type { JSX } from 'preact'
import type { AdapterInfo } from '../engine.ts'
import type { ModelState } from '../modelLoader.ts'
import { formatBytes } from '../progress.ts'
import type { Session } from '../session.ts'
import type { Theme } from '../settings.ts'
import { Icon, IconButton } from './icons.tsx'

interface HeaderProps {
  readonly session: Session
  readonly model: ModelState
  readonly isDark: boolean
  readonly onMenu: () => void
  readonly onModel: () => void
  readonly onSettings: () => void
}

export function Header({ session, model, isDark, onMenu, onModel, onSettings }: HeaderProps): JSX.Element {
  const other: Theme = isDark ? 'light' : 'dark'
  return (
    <header class="header">
      <IconButton class="menu" icon="menu" label="Conversations" onClick={onMenu} />
      <div class="model">
        <button type="button" class="model-button" aria-haspopup="dialog" onClick={onModel}>
          <span class="sr-only">Model: </span>
          <span class="model-name">{model.label}</span>
          <Icon name="chevron" />
        </button>
        <AdapterLine model={model} />
      </div>
      <IconButton
        icon={isDark ? 'sun' : 'moon'}
        label={`Switch to ${other} mode`}
        onClick={() => session.setTheme(other)}
      />
      <IconButton icon="settings" label="Settings" onClick={onSettings} />
    </header>
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
    adapterName(adapter),
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

function adapterName({ description, device, vendor, architecture }: AdapterInfo): string {
  const named = [description, device].find((name) => name !== '')
  return named ?? [vendor, architecture].filter((name) => name !== '').join(' ')
}
