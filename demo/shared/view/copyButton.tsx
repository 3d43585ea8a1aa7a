// Copies a text, and says for a moment that it did.

import type { JSX } from 'preact'
import { useEffect, useState } from 'preact/hooks'
import { IconButton } from './icons.tsx'

const shownMs = 1500

export function CopyButton({ text }: { readonly text: string }): JSX.Element {
  const [outcome, setOutcome] = useState<'copied' | 'failed' | undefined>(undefined)
  useEffect(() => {
    if (outcome === undefined) return undefined
    const timer = setTimeout(() => setOutcome(undefined), shownMs)
    return () => clearTimeout(timer)
  }, [outcome])
  const copy = (): void => {
    navigator.clipboard.writeText(text).then(
      () => setOutcome('copied'),
      () => setOutcome('failed'),
    )
  }
  const label = outcome === 'copied' ? 'Copied' : outcome === 'failed' ? 'Could not copy' : 'Copy'
  return <IconButton icon={outcome === 'copied' ? 'check' : 'copy'} label={label} onClick={copy} />
}
