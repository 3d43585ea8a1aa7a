// The top of the page: the model and the adapter that it runs on, and the ways to the dialogs.

import type { JSX } from 'preact'
import type { ModelState } from '../../shared/modelLoader.ts'
import type { Session } from '../session.ts'
import type { Theme } from '../../shared/theme.ts'
import { Icon, IconButton } from '../../shared/view/icons.tsx'
import { ModelButton } from '../../shared/view/modelButton.tsx'

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
      <ModelButton model={model} onClick={onModel} />
      <a class="icon-button" href="../inspector/" aria-label="Inspector" title="Inspector">
        <Icon name="graph" />
      </a>
      <IconButton
        icon={isDark ? 'sun' : 'moon'}
        label={`Switch to ${other} mode`}
        onClick={() => session.setTheme(other)}
      />
      <IconButton icon="settings" label="Settings" onClick={onSettings} />
    </header>
  )
}
