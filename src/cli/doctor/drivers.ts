// Finds what could drive a GPU on Linux: manifests of Vulkan drivers, graphics cards, the distribution.
// Reads files only; whether a driver works is for probe.ts.

import { readdir, readFile } from 'node:fs/promises'
import { basename, delimiter, join } from 'node:path'
import type { Environment, Machine } from '../deps.ts'

export interface DriverFile {
  readonly path: string
  readonly name: string
  /** Whether the Vulkan loader considers it without being told to. */
  readonly isDefault: boolean
}

/** Replace the loader's own search. */
const pathVariables = ['VK_DRIVER_FILES', 'VK_ICD_FILENAMES']

/** Drivers that come with programs and that the loader does not look for. */
const strayFiles = ['/usr/lib/chromium/vk_swiftshader_icd.json']

/** The variable that decides which drivers the loader sees, if one is set. */
export function pathVariable(env: Environment): { name: string; value: string } | undefined {
  for (const name of pathVariables) {
    const value = env[name]
    if (value !== undefined && value !== '') return { name, value }
  }
  return undefined
}

/** Every manifest once, the loader's own first. Empty where there is no Vulkan loader to tell (macOS, Windows). */
export async function findDrivers(
  { platform, fileRoot, home }: Machine,
  env: Environment,
): Promise<DriverFile[]> {
  if (platform !== 'linux') return []
  const folders = [
    '/usr/local/share/vulkan/icd.d',
    '/usr/share/vulkan/icd.d',
    '/etc/vulkan/icd.d',
    `${home}/.local/share/vulkan/icd.d`,
  ]
  const collect = async (lists: readonly Promise<string[]>[]): Promise<string[]> =>
    (await Promise.all(lists)).flat()
  const found = await collect(folders.map((folder) => manifestsIn(fileRoot, folder)))
  const stray = await collect(strayFiles.map((path) => manifestsAt(fileRoot, path)))
  const variable = pathVariable(env)
  const named = variable?.value.split(delimiter).map((path) => manifestsAt(fileRoot, path))
  const searched = named === undefined ? found : await collect(named)
  return [...new Set([...searched, ...found, ...stray])].map((path) => ({
    path,
    name: basename(path),
    isDefault: searched.includes(path),
  }))
}

/** The loader's variables list files and folders. */
async function manifestsAt(fileRoot: string, path: string): Promise<string[]> {
  if (path === '') return []
  if (!path.endsWith('.json')) return manifestsIn(fileRoot, path)
  return (await readText(join(fileRoot, path))) === undefined ? [] : [path]
}

async function manifestsIn(fileRoot: string, folder: string): Promise<string[]> {
  const names = await readdir(join(fileRoot, folder)).catch((): string[] => [])
  return names
    .filter((name) => name.endsWith('.json'))
    .sort()
    .map((name) => join(folder, name))
}

async function readText(path: string): Promise<string | undefined> {
  return readFile(path, 'utf8').catch(() => undefined)
}

export type CardVendor = 'NVIDIA' | 'AMD' | 'Intel'

const vendors: ReadonlyMap<string, CardVendor> = new Map([
  ['0x10de', 'NVIDIA'],
  ['0x1002', 'AMD'],
  ['0x8086', 'Intel'],
])

/** Vendors of the graphics cards on the PCI bus, whether a driver knows them or not. */
export async function findCards({ platform, fileRoot }: Machine): Promise<CardVendor[]> {
  if (platform !== 'linux') return []
  const bus = join(fileRoot, '/sys/bus/pci/devices')
  const devices = await readdir(bus).catch((): string[] => [])
  const cards = new Set<CardVendor>()
  for (const device of devices) {
    // Class 0x03 is display controllers, those without a connector included.
    if ((await readText(join(bus, device, 'class')))?.startsWith('0x03') !== true) continue
    const vendor = vendors.get((await readText(join(bus, device, 'vendor')))?.trim() ?? '')
    if (vendor !== undefined) cards.add(vendor)
  }
  return [...cards]
}

/** ID and VERSION_CODENAME of os-release, such as `debian` and `bookworm`; empty where unknown. */
export interface Distribution {
  readonly id: string
  readonly like: string
  readonly codename: string
}

export async function findDistribution({ fileRoot }: Machine): Promise<Distribution> {
  const text = (await readText(join(fileRoot, '/etc/os-release'))) ?? ''
  const field = (name: string): string => new RegExp(`^${name}="?([^"\\n]*)`, 'm').exec(text)?.[1] ?? ''
  return { id: field('ID'), like: field('ID_LIKE'), codename: field('VERSION_CODENAME') }
}
