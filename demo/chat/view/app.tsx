// The page as a whole: what stands where, which dialog is open, keys that work everywhere.

import type { JSX } from 'preact'
import { useCallback, useEffect, useLayoutEffect, useState } from 'preact/hooks'
import { shownFault } from '../fault.ts'
import icon from '../icon.svg'
import { droppedFiles } from '../modelFiles.ts'
import type { Notice, Session } from '../session.ts'
import type { Theme } from '../settings.ts'
import { useStore } from '../store.ts'
import { Composer } from './composer.tsx'
import { Dialog } from './dialog.tsx'
import { Header } from './header.tsx'
import { useFileDrop, useMedia } from './hooks.ts'
import { IconButton } from './icons.tsx'
import { Log } from './log.tsx'
import { ModelDialog } from './modelDialog.tsx'
import { ModelStatus } from './modelStatus.tsx'
import { SettingsDialog } from './settingsDialog.tsx'
import { Sidebar } from './sidebar.tsx'

type OpenDialog = 'conversations' | 'model' | 'settings' | undefined

export function App({ session }: { readonly session: Session }): JSX.Element {
  const { conversations, currentId, running, settings, model, notice } = useStore(session.store)
  const [open, setOpen] = useState<OpenDialog>(undefined)
  const close = useCallback(() => setOpen(undefined), [])
  const isWide = useMedia('(min-width: 820px)')
  const isDark = useTheme(settings.theme)
  const isOver = useFileDrop(useCallback((transfer) => drop(session, transfer), [session]))
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
        <ModelStatus {...{ session, model }} onChoose={() => setOpen('model')} />
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

function drop(session: Session, transfer: DataTransfer): void {
  droppedFiles(transfer).then(
    (choice) => choice && session.load(choice),
    (error: unknown) =>
      session.notify({ text: `Could not read what was dropped: ${shownFault(error).message}` }),
  )
}

/** Applies the theme; whether the page is dark now. */
function useTheme(theme: Theme): boolean {
  const isSystemDark = useMedia('(prefers-color-scheme: dark)')
  useLayoutEffect(() => {
    if (theme === 'system') delete document.documentElement.dataset['theme']
    else document.documentElement.dataset['theme'] = theme
  }, [theme])
  return theme === 'system' ? isSystemDark : theme === 'dark'
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

const noticeMs = 10_000

interface NoticeBarProps {
  readonly notice: Notice | undefined
  readonly onClose: () => void
}

function NoticeBar({ notice, onClose }: NoticeBarProps): JSX.Element {
  useEffect(() => {
    if (notice === undefined) return undefined
    const timer = setTimeout(onClose, noticeMs)
    return () => clearTimeout(timer)
  }, [notice])
  return (
    <div class="notice-region" role="status" aria-label="Notice">
      {notice !== undefined && (
        <div class="notice">
          <span>{notice.text}</span>
          {notice.action !== undefined && (
            <button type="button" onClick={notice.action.run}>
              {notice.action.label}
            </button>
          )}
          <IconButton icon="close" label="Dismiss" onClick={onClose} />
        </div>
      )}
    </div>
  )
}
