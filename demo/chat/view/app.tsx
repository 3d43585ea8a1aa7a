// The page as a whole: what stands where, which dialog is open, keys that work everywhere.

import type { JSX } from 'preact'
import { useCallback, useEffect, useState } from 'preact/hooks'
import icon from '../../shared/icon.svg'
import { loadDropped } from '../../shared/modelFiles.ts'
import type { Session } from '../session.ts'
import { useTheme } from '../../shared/theme.ts'
import { useStore } from '../../shared/store.ts'
import { Composer } from './composer.tsx'
import { Dialog } from '../../shared/view/dialog.tsx'
import { Header } from './header.tsx'
import { useFileDrop, useMedia } from '../../shared/view/hooks.ts'
import { Log } from './log.tsx'
import { ModelDialog } from '../../shared/view/modelDialog.tsx'
import { ModelStatus } from '../../shared/view/modelStatus.tsx'
import { SettingsDialog } from './settingsDialog.tsx'
import { NoticeBar } from '../../shared/view/noticeBar.tsx'
import { Sidebar } from './sidebar.tsx'

type OpenDialog = 'conversations' | 'model' | 'settings' | undefined

export function App({ session }: { readonly session: Session }): JSX.Element {
  const { conversations, currentId, running, settings, model, notice } = useStore(session.store)
  const [open, setOpen] = useState<OpenDialog>(undefined)
  const close = useCallback(() => setOpen(undefined), [])
  const isWide = useMedia('(min-width: 820px)')
  const isDark = useTheme(settings.theme)
  const isOver = useFileDrop(useCallback((transfer) => loadDropped(session, transfer), [session]))
  const conversation = conversations.find(({ id }) => id === currentId) ?? session.current
  const isRunning = running.has(conversation.id)
  useStopKey(session)
  const sidebar = <Sidebar {...{ session, conversations, currentId, running }} onChosen={close} />
  return (
    <div class="page">
      {isWide && (
        <aside class="aside-column">
          <p class="brand">
            <img src={icon} alt="" width="24" height="24" /> Tabhopper
          </p>
          {sidebar}
        </aside>
      )}
      <main class="main">
        <h1 class="sr-only">Tabhopper chat</h1>
        <Header
          {...{ session, model, isDark }}
          onMenu={() => setOpen('conversations')}
          onModel={() => setOpen('model')}
          onSettings={() => setOpen('settings')}
        />
        <ModelStatus actions={session} model={model} onChoose={() => setOpen('model')} />
        <Log {...{ session, conversation, isRunning }} modelLabel={model.label} />
        <Composer {...{ session, isRunning }} conversationId={conversation.id} modelLabel={model.label} />
      </main>
      <Dialog title="Conversations" place="left" isOpen={open === 'conversations' && !isWide} onClose={close}>
        {sidebar}
      </Dialog>
      <ModelDialog
        engine={model.engine}
        isOpen={open === 'model'}
        onClose={close}
        onChoose={(choice) => session.load(choice)}
      />
      <SettingsDialog
        {...{ session, settings, conversation }}
        modelLabel={model.label}
        isOpen={open === 'settings'}
        onClose={close}
      />
      <NoticeBar notice={notice} onClose={() => session.notify(undefined)} />
      {isOver && <div class="drop-zone">Drop a model folder or a .gguf file</div>}
    </div>
  )
}

/** Escape stops the answer, unless it closes a dialog. */
function useStopKey(session: Session): void {
  useEffect(() => {
    const onKeyDown = ({ key, defaultPrevented }: KeyboardEvent): void => {
      if (key !== 'Escape' || defaultPrevented || document.querySelector('dialog[open]') !== null) return
      session.stop(session.store.value.currentId)
    }
    addEventListener('keydown', onKeyDown)
    return () => removeEventListener('keydown', onKeyDown)
  }, [session])
}
