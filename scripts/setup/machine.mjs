// What kind of machine this is, read once: platform, Linux distribution, administrator or not, apt's sources.
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { parseOsRelease } from './decide.mjs'
import { parseSources } from './sources.mjs'

const APT_SOURCES = '/etc/apt/sources.list'
const APT_SOURCES_DIR = '/etc/apt/sources.list.d'

/** Our own apt source: a file of its own, so that removing it undoes the change. */
export const BACKPORTS_FILE = `${APT_SOURCES_DIR}/tabhopper-backports.sources`

export function machine() {
  const linux = process.platform === 'linux'
  const os = parseOsRelease(
    linux ? readOr('/etc/os-release', () => readOr('/usr/lib/os-release', () => '')) : '',
  )
  return {
    platform: process.platform,
    os,
    root: linux && process.getuid() === 0,
    apt: linux && existsSync('/usr/bin/apt-get'),
  }
}

/** Every enabled `deb` entry of apt's configuration, in apt's reading order. */
export function aptSources() {
  const files = existsSync(APT_SOURCES_DIR)
    ? readdirSync(APT_SOURCES_DIR)
        .filter((name) => /\.(list|sources)$/.test(name))
        .sort()
        .map((name) => path.join(APT_SOURCES_DIR, name))
    : []
  return [APT_SOURCES, ...files].flatMap((file) =>
    parseSources(
      readOr(file, () => ''),
      file,
    ),
  )
}

export function onPath(name) {
  const directories = (process.env.PATH || '').split(path.delimiter).filter(Boolean)
  return directories.some((directory) => existsSync(path.join(directory, name)))
}

function readOr(file, otherwise) {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return otherwise()
  }
}
