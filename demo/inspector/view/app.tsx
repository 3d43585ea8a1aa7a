// The page as a whole: what stands where, which dialog is open.

import type { JSX } from 'preact'
import { useCallback, useMemo, useState } from 'preact/hooks'
import icon from '../../shared/icon.svg'
import { loadDropped } from '../../shared/modelFiles.ts'
import { useStore } from '../../shared/store.ts'
import { useTheme, type Theme } from '../../shared/theme.ts'
import { useFileDrop } from '../../shared/view/hooks.ts'
import { Icon, IconButton } from '../../shared/view/icons.tsx'
import { ModelButton } from '../../shared/view/modelButton.tsx'
import { ModelDialog } from '../../shared/view/modelDialog.tsx'
import { ModelStatus } from '../../shared/view/modelStatus.tsx'
import { NoticeBar } from '../../shared/view/noticeBar.tsx'
import { paletteOf } from '../render/colours.ts'
import type { Session } from '../session.ts'
import { Details } from './details.tsx'
import { KvPanel } from './kvPanel.tsx'
import { MemoryPanel } from './memoryPanel.tsx'
import { RunPanel } from './runPanel.tsx'
import { StageView } from './stageView.tsx'
import { TimePanel } from './timePanel.tsx'

export function App({ session }: { readonly session: Session }): JSX.Element {
  const state = useStore(session.store)
  const [isChoosing, setChoosing] = useState(false)
  const isDark = useTheme(state.theme)
  const palette = useMemo(() => paletteOf(isDark), [isDark])
  const isOver = useFileDrop(useCallback((transfer) => loadDropped(session, transfer), [session]))
  const { model, inspection } = state
  const other: Theme = isDark ? 'light' : 'dark'
  return (
    <div class="inspector">
      <header class="header">
        <img class="logo" src={icon} alt="" width="24" height="24" />
        <h1 class="sr-only">Tabhopper inspector</h1>
        <ModelButton model={model} onClick={() => setChoosing(true)} />
        <IconButton
          icon={isDark ? 'sun' : 'moon'}
          label={`Switch to ${other} mode`}
          onClick={() => session.setTheme(other)}
        />
        <a class="icon-button" href="../chat/" aria-label="Chat" title="Chat">
          <Icon name="chat" />
        </a>
      </header>
      <ModelStatus actions={session} model={model} onChoose={() => setChoosing(true)} />
      <main class="look">
        <div class={`picture ${state.selection === undefined ? '' : 'with-details'}`}>
          <StageView {...{ session, state, palette }} />
          {inspection !== undefined && state.selection !== undefined && (
            <Details {...{ session, state, inspection }} selection={state.selection} />
          )}
        </div>
        <div class="panels">
          <RunPanel {...{ session, palette }} runs={state.runs} isReady={inspection !== undefined} />
          <KvPanel cache={state.cache} first={state.firstSequence ?? 1} palette={palette} />
          <TimePanel {...{ session, palette }} profiling={state.profiling} inspection={inspection} />
          <MemoryPanel memory={state.memory} inspection={inspection} palette={palette} />
        </div>
      </main>
      <ModelDialog
        engine={model.engine}
        isOpen={isChoosing}
        onClose={() => setChoosing(false)}
        onChoose={(choice) => session.load(choice)}
      />
      <NoticeBar notice={state.notice} onClose={() => session.notify(undefined)} />
      {isOver && <div class="drop-zone">Drop a model folder or a .gguf file</div>}
    </div>
  )
}
