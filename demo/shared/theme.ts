// Light or dark, as the user or the system says.

import { useLayoutEffect } from 'preact/hooks'
import { useMedia } from './view/hooks.ts'

export type Theme = 'system' | 'light' | 'dark'

/** Applies the theme; whether the page is dark now. */
export function useTheme(theme: Theme): boolean {
  const isSystemDark = useMedia('(prefers-color-scheme: dark)')
  useLayoutEffect(() => {
    if (theme === 'system') delete document.documentElement.dataset['theme']
    else document.documentElement.dataset['theme'] = theme
  }, [theme])
  return theme === 'system' ? isSystemDark : theme === 'dark'
}
