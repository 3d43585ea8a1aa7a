// A WebGPU adapter for Dawn in Node. Whatever Dawn already finds is kept, so a hardware GPU wins; a Linux
// machine without any gets Mesa's software Vulkan driver (lavapipe).
import { rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { fileURLToPath } from 'node:url'
import * as apt from './apt.mjs'
import { isNewMesa, mayInstall, MESA_PACKAGES, mesaCommands, mesaPlan } from './decide.mjs'
import { aptSources, BACKPORTS_FILE } from './machine.mjs'
import { complaint, fail, run, say, SetupError, shown } from './run.mjs'

const PROBE = fileURLToPath(new URL('probe.mjs', import.meta.url))
const PROBE_TIMEOUT_MS = 120_000
/** What replaces the Vulkan loader's own search for drivers. */
const DRIVER_VARIABLES = ['VK_DRIVER_FILES', 'VK_ICD_FILENAMES']

/** @returns {{ vendor: string, description: string }} the adapter that Dawn finds in the end */
export function ensureAdapter(machine) {
  const found = probe(process.env)
  if (found.adapter) return found.adapter
  failIfHidden()
  if (machine.platform !== 'linux') failWithout('Update the graphics driver of this machine.', found.log)
  if (!mayInstall(machine)) failWithout(commandsToRun(machine), '')
  installMesa(machine)
  const now = probe(process.env)
  return now.adapter || failWithout('Mesa is installed; look at its drivers with vulkaninfo.', now.log)
}

/** A child process: a driver that crashes must not take the set-up along. */
function probe(env) {
  // lavapipe complains on every start where this is unset, as it is in containers.
  const result = run(process.execPath, [PROBE], {
    env: { XDG_RUNTIME_DIR: tmpdir(), ...env },
    timeout: PROBE_TIMEOUT_MS,
  })
  const answer = /^adapter: (.*)$/m.exec(result.stdout)
  if (answer) return { adapter: JSON.parse(answer[1]), log: result.output.replace(answer[0], '').trim() }
  const advice = `Check that the npm package webgpu has a binary for ${process.platform}-${process.arch}:${shown(result.output)}`
  throw new SetupError(complaint('setup/dawn', 'webgpu', 'a Dawn that starts', result.reason, advice))
}

/** Says so when the environment points away from a driver that is there; installing another would be no help. */
function failIfHidden() {
  const variable = DRIVER_VARIABLES.find((name) => process.env[name])
  if (!variable) return
  const rest = Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !DRIVER_VARIABLES.includes(name)),
  )
  if (!probe(rest).adapter) return
  fail('setup/adapter', variable, 'a Vulkan driver that Dawn accepts', process.env[variable], 'Unset it.')
}

function failWithout(advice, log) {
  throw new SetupError(complaint('setup/adapter', 'Dawn', 'a WebGPU adapter', 'none', advice + shown(log)))
}

function commandsToRun(machine) {
  const plan = machine.apt ? mesaPlan(machine.os, apt.policy('mesa-vulkan-drivers'), aptSources()) : {}
  const commands = mesaCommands(machine, plan, BACKPORTS_FILE)
  if (commands.length === 0) return 'Install the Vulkan loader and Mesa 25 or newer with its lavapipe driver.'
  return `Run this and start again:\n\n${commands.join('\n')}\n`
}

function installMesa(machine) {
  const [loader, mesa] = MESA_PACKAGES.map((name) => apt.policy(name).installed)
  if (loader && isNewMesa(mesa)) return
  say('installing the software Vulkan adapter (apt-get, about 200 MB on disk)')
  let output = apt.update()
  const plan = mesaPlan(machine.os, apt.policy('mesa-vulkan-drivers'), aptSources())
  if (plan.blocked) failWithout(commandsToRun(machine), output)
  if (plan.source) {
    writeFileSync(BACKPORTS_FILE, plan.source, { mode: 0o644 })
    output = apt.updateOnly(BACKPORTS_FILE)
    if (!apt.policy('mesa-vulkan-drivers').versions.some(({ version }) => isNewMesa(version))) {
      // A mirror without backports would make every later `apt-get update` fail.
      rmSync(BACKPORTS_FILE)
      failWithout(`Give apt a mirror with ${plan.target}, where Mesa 25 is; it reports:`, output)
    }
  }
  apt.install(MESA_PACKAGES, plan.target)
}
