// The theme that was chosen for this page, where the browser keeps such things.

import type { Theme } from '../shared/theme.ts'

const key = 'tabhopper-inspector-theme'

export function keptTheme(): Theme {
  try {
    const theme = localStorage.getItem(key)
    return theme === 'light' || theme === 'dark' ? theme : 'system'
  } catch {
    return 'system'
  }
}

export function keepTheme(theme: Theme): void {
  try {
    localStorage.setItem(key, theme)
  } catch {
    // It holds until the page is closed.
  }
}
