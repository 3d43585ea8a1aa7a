// apt-get without questions and without noise: its output appears only in an error.
import { run, SetupError, complaint, shown } from './run.mjs'
import { parsePolicy } from './decide.mjs'

const ENV = { ...process.env, DEBIAN_FRONTEND: 'noninteractive', NEEDRESTART_SUSPEND: '1', LC_ALL: 'C' }
const QUIET = ['-qq', '-o', 'DPkg::Lock::Timeout=300']
/** A changed configuration file keeps the user's version instead of asking. */
const NO_QUESTIONS = ['-y', '-o', 'Dpkg::Options::=--force-confdef', '-o', 'Dpkg::Options::=--force-confold']

let updated

/** Once a run. A source that fails need not be ours, so the result is only for the error of what follows. */
export function update() {
  if (!updated) updated = run('apt-get', ['update', ...QUIET], { env: ENV })
  return updated.output
}

/** Reads one new source file and leaves the lists of all others as they are. */
export function updateOnly(file) {
  const only = [
    '-o',
    `Dir::Etc::sourcelist=${file}`,
    '-o',
    'Dir::Etc::sourceparts=-',
    '-o',
    'APT::Get::List-Cleanup=0',
  ]
  return run('apt-get', ['update', ...QUIET, ...only], { env: ENV }).output
}

export function policy(name) {
  return parsePolicy(run('apt-cache', ['policy', name], { env: ENV }).stdout)
}

export function install(packages, target) {
  const from = target ? ['-t', target] : []
  const args = ['install', ...QUIET, ...NO_QUESTIONS, '--no-install-recommends', ...from, ...packages]
  const result = run('apt-get', args, { env: ENV })
  if (result.ok) return
  const advice = `Mend what it reports and start again:${shown(result.output)}`
  throw new SetupError(
    complaint('setup/apt', `apt-get install ${packages.join(' ')}`, 'success', result.reason, advice),
  )
}
