// Which command opens an address in the user's browser. Pure.

/**
 * @param {string} platform as process.platform
 * @param {Record<string, string | undefined>} env
 * @param {boolean} isTerminal whether a person is looking
 * @returns {{ file: string, args: string[] } | undefined} undefined where there is no browser, or nobody to see it
 */
export function browserCommand(platform, env, isTerminal) {
  if (!isTerminal || env.CI || env.BROWSER === 'none') return undefined
  switch (platform) {
    case 'darwin':
      return { file: 'open', args: [] }
    case 'win32':
      // `start` takes a first argument in quotes for the title of a window.
      return { file: 'cmd', args: ['/c', 'start', '""'] }
    default:
      // A remote shell has a display at times, but its user is elsewhere.
      if (env.SSH_CONNECTION || (!env.DISPLAY && !env.WAYLAND_DISPLAY)) return undefined
      return { file: 'xdg-open', args: [] }
  }
}
