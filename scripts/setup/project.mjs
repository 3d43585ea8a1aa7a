// npm packages and the build: done again only when what they are made from has changed.
import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { complaint, fail, run, say, SetupError, shown } from './run.mjs'

const BUILD_INPUTS = /^(src|shaders|demo|public|vite\.config\.ts|package(-lock)?\.json|tsconfig.*\.json)$/
/** In node_modules: never published with dist/, and gone with every `npm ci`, after which a build is due anyway. */
const STAMP = 'node_modules/.tabhopper-setup.json'

export function ensurePackages(root) {
  const lock = readJson(path.join(root, 'package-lock.json'))
  if (!lock)
    fail('setup/lockfile', 'package-lock.json', 'a lock file', 'none', 'Restore it from the repository.')
  const installed = readJson(path.join(root, 'node_modules/.package-lock.json'))
  const isThere = (folder) => existsSync(path.join(root, folder))
  if (installed && packagesMatch(lock.packages, installed.packages, process.platform, process.arch, isThere))
    return
  say('installing the npm packages (npm ci)')
  npm(root, ['ci', '--include=dev', '--no-audit', '--no-fund'], 'setup/npm')
}

/**
 * Whether node_modules holds what the lock file asks for, by the record that npm keeps in there: this sees an
 * edited lock file and a checkout shared with another platform, and leaves a fresh `npm install` alone.
 * Optional packages may be missing: they are those of other platforms.
 */
export function packagesMatch(wanted, installed, platform, arch, isThere) {
  const isAsWanted = ([folder, entry]) => {
    const found = installed[folder]
    if (!found) return Boolean(entry.optional || entry.devOptional)
    return found.version === entry.version && found.integrity === entry.integrity && isThere(folder)
  }
  const isForHere = ([folder, { os, cpu }]) =>
    folder in wanted && (!os || os.includes(platform)) && (!cpu || cpu.includes(arch))
  const packages = Object.entries(wanted).filter(([folder, entry]) => folder !== '' && !entry.link)
  return packages.every(isAsWanted) && Object.entries(installed).every(isForHere)
}

export function ensureBuild(root) {
  const sources = sourcesHash(root)
  const stamp = readJson(path.join(root, STAMP))
  // The stamp names the build too: one made by hand in between would otherwise pass for that of these sources.
  if (stamp && stamp.sources === sources && stamp.dist === buildHash(root)) return
  say('building (npm run build)')
  npm(root, ['run', 'build'], 'setup/build')
  const dist = buildHash(root)
  if (!dist)
    fail('setup/build', 'npm run build', 'the folder dist', 'none', 'Check the build script in package.json.')
  writeFileSync(path.join(root, STAMP), JSON.stringify({ sources, dist }))
}

function npm(root, args, code) {
  // Set by `npm start`: the very npm that was called. On Windows it also avoids npm.cmd and a shell.
  const script = process.env.npm_execpath
  const direct = script && /npm-cli\.c?js$/.test(script)
  const result = direct
    ? run(process.execPath, [script, ...args], { cwd: root })
    : run('npm', args, { cwd: root, shell: process.platform === 'win32' })
  if (result.ok) return
  const advice = `Mend what it reports and start again:${shown(result.output)}`
  throw new SetupError(complaint(code, `npm ${args.join(' ')}`, 'success', result.reason, advice))
}

function sourcesHash(root) {
  const inputs = readdirSync(root).filter((name) => BUILD_INPUTS.test(name))
  return contentHash(
    root,
    inputs.flatMap((name) => files(path.join(root, name))),
  )
}

/** Empty where there is no build. */
function buildHash(root) {
  const folder = path.join(root, 'dist')
  return existsSync(folder) ? contentHash(folder, files(folder)) : ''
}

/** Contents, not times: a copied or freshly checked-out tree counts as unchanged. */
function contentHash(base, list) {
  const hash = createHash('sha256')
  for (const file of list.sort()) {
    hash
      .update(`${path.relative(base, file)}\0`)
      .update(readFileSync(file))
      .update('\0')
  }
  return hash.digest('hex')
}

function files(start) {
  if (!statSync(start).isDirectory()) return [start]
  return readdirSync(start, { withFileTypes: true }).flatMap((entry) => {
    if (entry.name.startsWith('.')) return []
    const full = path.join(start, entry.name)
    return entry.isDirectory() ? files(full) : entry.isFile() ? [full] : []
  })
}

function readJson(file) {
  try {
    return JSON.parse(readFileSync(file, 'utf8'))
  } catch {
    return undefined
  }
}
