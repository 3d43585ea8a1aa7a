// An error for the user: its code, what happened, what to do.

import type { JSX } from 'preact'
import type { ShownFault } from '../fault.ts'
import { Icon } from './icons.tsx'

interface FaultCardProps {
  readonly fault: ShownFault
  readonly action?: { readonly label: string; readonly run: () => void }
}

export function FaultCard({ fault, action }: FaultCardProps): JSX.Element {
  return (
    <div class="fault" role="alert">
      <Icon name="warning" />
      <div>
        <p>
          <code>{fault.code}</code> {fault.message}
        </p>
        {action !== undefined && (
          <button type="button" onClick={action.run}>
            {action.label}
          </button>
        )}
      </div>
    </div>
  )
}
