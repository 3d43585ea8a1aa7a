// Chromium for the tests: the browser itself and its SwiftShader, a second software adapter.
// Tests that lack it are skipped, so nothing here ends the run.
import * as apt from './apt.mjs'
import { chromiumCommands, mayInstall } from './decide.mjs'
import { onPath } from './machine.mjs'
import { complaint, say, SetupError } from './run.mjs'

const SKIPPED = 'The browser and SwiftShader tests will be skipped'

export function ensureChromium(machine) {
  if (machine.platform !== 'linux' || isInstalled(machine)) return
  if (mayInstall(machine) && machine.os.id === 'debian') {
    say('installing Chromium for the tests (apt-get, about 500 MB on disk)')
    apt.update()
    return installOrWarn()
  }
  const commands = chromiumCommands(machine)
  const how = commands.length > 0 ? `, unless you run this first:\n\n${commands.join('\n')}\n` : '.'
  console.error(complaint('setup/chromium', 'PATH', 'chromium', 'none', SKIPPED + how))
}

/** On Ubuntu /usr/bin/chromium-browser is a placeholder for the snap. */
function isInstalled(machine) {
  return onPath('chromium') || (machine.os.family !== 'ubuntu' && onPath('chromium-browser'))
}

function installOrWarn() {
  try {
    apt.install(['chromium'])
  } catch (error) {
    if (!(error instanceof SetupError)) throw error
    console.error(`${error.message}\nsetup: ${SKIPPED}.`)
  }
}
