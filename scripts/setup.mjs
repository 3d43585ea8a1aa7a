// Prepares the machine and the checkout: npm packages, the build, a WebGPU adapter and, with --test, Chromium.
// Runs before `npm ci`, so it and scripts/setup/ use nothing but Node's own modules.
// Says nothing when nothing is missing; --verbose says which adapter was found.
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { ensureAdapter } from './setup/adapter.mjs'
import { ensureChromium } from './setup/chromium.mjs'
import { machine } from './setup/machine.mjs'
import { ensureBuild, ensurePackages } from './setup/project.mjs'
import { fail, say, SetupError } from './setup/run.mjs'
import { nodeIsSupported } from './setup/decide.mjs'

const OPTIONS = ['--test', '--verbose']

function main() {
  const options = process.argv.slice(2)
  const unknown = options.find((option) => !OPTIONS.includes(option))
  if (unknown) fail('setup/options', unknown, `one of ${OPTIONS.join(', ')}`, unknown, 'Leave it out.')
  if (!nodeIsSupported(process.versions.node)) {
    fail('setup/node', 'node', '≥ 20.19', process.versions.node, 'Install Node 20.19 or newer.')
  }

  const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..')
  ensurePackages(root)
  ensureBuild(root)
  const here = machine()
  // Chromium first: its absence is only a warning, and who has to act should read of everything at once.
  if (options.includes('--test')) ensureChromium(here)
  const adapter = ensureAdapter(here)
  if (options.includes('--verbose')) say(`ready; adapter: ${adapter.description || adapter.vendor}`)
}

try {
  main()
} catch (error) {
  if (!(error instanceof SetupError)) throw error
  console.error(error.message)
  process.exitCode = 1
}
