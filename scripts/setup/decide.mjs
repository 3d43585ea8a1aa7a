// The decisions: what a described machine lacks and which commands give it. Pure, so that the tests cover
// machines that are not at hand.
import { archiveSource, backportsSource, hasSuite } from './sources.mjs'

/** Dawn refuses the software adapter of older Mesa. */
const MESA_MAJOR = 25
export const MESA_PACKAGES = ['libvulkan1', 'mesa-vulkan-drivers']

export function nodeIsSupported(version) {
  const [major, minor] = version.split('.').map(Number)
  return major > 20 || (major === 20 && minor >= 19)
}

/**
 * @typedef {object} Os
 * @property {string} id        e.g. debian
 * @property {string} version   e.g. 12; empty on rolling releases
 * @property {string} codename  e.g. bookworm
 * @property {string} family    debian, ubuntu, fedora, arch, suse or empty: which package names and tools apply
 */

/** @returns {Os} */
export function parseOsRelease(text) {
  const fields = {}
  for (const [, name, value] of text.matchAll(/^([A-Z_]+)=(.*)$/gm))
    fields[name] = value.trim().replace(/^(["'])(.*)\1$/, '$2')
  const id = fields.ID || ''
  const relatives = [id, ...(fields.ID_LIKE || '').split(' ')]
  const family =
    ['ubuntu', 'debian', 'fedora', 'arch', 'suse'].find((name) =>
      relatives.some((relative) => relative === name || (name === 'suse' && relative.startsWith('opensuse'))),
    ) || ''
  return { id, version: fields.VERSION_ID || '', codename: fields.VERSION_CODENAME || '', family }
}

/**
 * `apt-cache policy` of one package.
 * @returns {{ installed: string, candidate: string, versions: { version: string, suites: string[] }[] }}
 */
export function parsePolicy(text) {
  const field = (name) => {
    const value = new RegExp(`^ {2}${name}: (\\S+)`, 'm').exec(text)
    return value && value[1] !== '(none)' ? value[1] : ''
  }
  const versions = []
  for (const line of text.split('\n')) {
    const version = /^ (?:\*\*\*| {3}) (\S+) -?\d+$/.exec(line)
    const origin = /^ {8,}-?\d+ \S+ (\S+)\/\S+ /.exec(line)
    if (version) versions.push({ version: version[1], suites: [] })
    else if (origin && versions.length > 0) versions[versions.length - 1].suites.push(origin[1])
  }
  return { installed: field('Installed'), candidate: field('Candidate'), versions }
}

export function isNewMesa(version) {
  return Number.parseInt(version.replace(/^\d+:/, ''), 10) >= MESA_MAJOR
}

/**
 * How apt gets a new enough Mesa: from `target` (a suite of lower priority) or from where it is looking anyway,
 * after writing `source` if set. `blocked` says why it cannot.
 * With no versions known (package lists missing) the release tells what to expect.
 * @typedef {{ target?: string, source?: string, blocked?: 'mirror' | 'release' }} MesaPlan
 * @returns {MesaPlan}
 */
export function mesaPlan(os, policy, sources) {
  if (isNewMesa(policy.candidate)) return {}
  const other = policy.versions.find(({ version, suites }) => isNewMesa(version) && suites.length > 0)
  if (other) return { target: other.suites[0] }
  if (os.id === 'debian' && os.version === '12') return backportsPlan(os.codename, sources)
  return policy.versions.length === 0 && !isOldDebian(os) ? {} : { blocked: 'release' }
}

function backportsPlan(codename, sources) {
  const target = `${codename}-backports`
  if (hasSuite(sources, target)) return { target }
  const mirror = archiveSource(sources, codename)
  return mirror ? { target, source: backportsSource(mirror, codename) } : { blocked: 'mirror' }
}

function isOldDebian(os) {
  return os.id === 'debian' && os.version !== '' && Number(os.version) < 12
}

/** Only the two distributions that the set-up is tested for; relatives get the commands to run. */
export function mayInstall(machine) {
  return machine.root && machine.apt && ['debian', 'ubuntu'].includes(machine.os.id)
}

/** The commands that give Mesa, for the user to run; an empty list where none are known. */
export function mesaCommands(machine, plan, sourceFile) {
  const sudo = machine.root ? '' : 'sudo '
  switch (machine.os.family) {
    case 'debian':
    case 'ubuntu':
      return aptMesaCommands(machine.os, plan, sourceFile, sudo)
    case 'fedora':
      return [`${sudo}dnf install mesa-vulkan-drivers vulkan-loader`]
    case 'arch':
      return [`${sudo}pacman -S vulkan-swrast vulkan-icd-loader`]
    case 'suse':
      return [`${sudo}zypper install libvulkan_lvp libvulkan1`]
    default:
      return []
  }
}

function aptMesaCommands(os, plan, sourceFile, sudo) {
  const install = (target) => [
    `${sudo}apt-get update`,
    `${sudo}apt-get install --no-install-recommends ${target ? `-t ${target} ` : ''}${MESA_PACKAGES.join(' ')}`,
  ]
  if (plan.blocked === 'release') {
    if (os.family !== 'ubuntu') return []
    return [
      `${sudo}apt-get install --no-install-recommends software-properties-common`,
      `${sudo}add-apt-repository ppa:kisak/kisak-mesa`,
      ...install(''),
    ]
  }
  if (plan.blocked === 'mirror') {
    const file = sourceFile.replace(/\.sources$/, '.list')
    const line = `deb http://deb.debian.org/debian ${os.codename}-backports main`
    return [`echo '${line}' | ${sudo}tee ${file}`, ...install(`${os.codename}-backports`)]
  }
  const write = plan.source ? [`${sudo}tee ${sourceFile} <<'END'\n${plan.source}END`] : []
  return [...write, ...install(plan.target)]
}

/** Ubuntu has Chromium as a snap only. */
export function chromiumCommands(machine) {
  const sudo = machine.root ? '' : 'sudo '
  switch (machine.os.family) {
    case 'debian':
      return [`${sudo}apt-get update`, `${sudo}apt-get install --no-install-recommends chromium`]
    case 'ubuntu':
      return [`${sudo}snap install chromium`]
    case 'fedora':
      return [`${sudo}dnf install chromium`]
    case 'arch':
      return [`${sudo}pacman -S chromium`]
    case 'suse':
      return [`${sudo}zypper install chromium`]
    default:
      return []
  }
}
