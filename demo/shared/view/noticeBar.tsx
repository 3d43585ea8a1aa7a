// A line over the page that says what happened, for a while.

import type { JSX } from 'preact'
import { useEffect } from 'preact/hooks'
import type { Notice } from '../notice.ts'
import { IconButton } from './icons.tsx'

const noticeMs = 10_000

interface NoticeBarProps {
  readonly notice: Notice | undefined
  readonly onClose: () => void
}

export function NoticeBar({ notice, onClose }: NoticeBarProps): JSX.Element {
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
