// A modal dialog of the browser's own: it keeps the focus, and Escape or a click beside it closes it.

import type { ComponentChildren, JSX } from 'preact'
import { useEffect, useRef } from 'preact/hooks'
import { IconButton } from './icons.tsx'

interface DialogProps {
  readonly title: string
  readonly isOpen: boolean
  readonly onClose: () => void
  /** Where it stands. Default: the middle. */
  readonly place?: 'middle' | 'left' | 'right'
  readonly children: ComponentChildren
}

export function Dialog({ title, isOpen, onClose, place = 'middle', children }: DialogProps): JSX.Element {
  const dialog = useRef<HTMLDialogElement>(null)
  useEffect(() => {
    if (isOpen && dialog.current?.open === false) dialog.current.showModal()
    if (!isOpen) dialog.current?.close()
  }, [isOpen])
  const closeBeside = ({ target }: Event): void => {
    if (target === dialog.current) onClose()
  }
  return (
    <dialog ref={dialog} class={`dialog ${place}`} aria-label={title} onClose={onClose} onClick={closeBeside}>
      {isOpen && (
        <div class="dialog-body">
          <header class="dialog-head">
            <h2>{title}</h2>
            <IconButton icon="close" label="Close" onClick={onClose} />
          </header>
          {children}
        </div>
      )}
    </dialog>
  )
}
