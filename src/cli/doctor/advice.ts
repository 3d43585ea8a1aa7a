// What to do for a better adapter, with commands to copy. Pure: from findings to sentences.

import type { Machine } from '../deps.ts'
import type { CardVendor, Distribution } from './drivers.ts'

export interface Advice {
  readonly text: string
  readonly commands: readonly string[]
}

export interface Findings {
  readonly machine: Machine
  readonly cards: readonly CardVendor[]
  readonly distribution: Distribution
  readonly adapter: 'none' | 'software' | 'hardware'
  /** A variable that hides drivers from the loader. */
  readonly pathVariable: string | undefined
  /** A driver that Dawn accepts but the loader does not look for. */
  readonly strayDriver: string | undefined
}

export function adviseOn(findings: Findings): Advice[] {
  const { adapter, machine, cards, pathVariable, strayDriver } = findings
  if (adapter === 'hardware') return []
  if (machine.platform !== 'linux') {
    return [
      {
        text: 'Update the graphics driver and the system: WebGPU needs Metal, or Direct3D 12.',
        commands: [],
      },
    ]
  }
  const advice: Advice[] = []
  if (pathVariable !== undefined) {
    advice.push({
      text: `${pathVariable} hides all other drivers. Try without it:`,
      commands: [`unset ${pathVariable}`],
    })
  }
  if (pathVariable !== undefined && strayDriver !== undefined) return advice
  if (adapter === 'none') {
    advice.push({
      text: 'Install a Vulkan driver; this one runs on any processor:',
      commands: mesaCommands(findings),
    })
    if (strayDriver !== undefined) {
      advice.push({
        text: 'Or use one that is already here:',
        commands: [`export VK_DRIVER_FILES=${strayDriver}`],
      })
    }
  }
  return [...advice, ...hardwareAdvice(findings, cards)]
}

/** For the cards that are there; in general where none is seen. */
function hardwareAdvice(findings: Findings, cards: readonly CardVendor[]): Advice[] {
  const isKnown = cards.length > 0
  const advice: Advice[] = []
  if (cards.includes('NVIDIA')) {
    advice.push({
      text: 'There is an NVIDIA card. Install its driver with the Vulkan and EGL libraries; a container also needs NVIDIA_DRIVER_CAPABILITIES=all.',
      commands: isDebian(findings.distribution) ? [apt(findings, 'nvidia-driver libegl1 libvulkan1')] : [],
    })
  }
  if (cards.includes('AMD') || cards.includes('Intel')) {
    const names = cards.filter((card) => card !== 'NVIDIA').join(' and ')
    const text = `There is a card by ${names}. It needs mesa-vulkan-drivers 25 or newer, and access to /dev/dri.`
    advice.push({ text, commands: findings.adapter === 'none' ? [] : mesaCommands(findings) })
  }
  if (isKnown || findings.adapter === 'none') return advice
  return [
    {
      text: 'Software is right but slow. For speed use a machine with a GPU and its Vulkan driver: for NVIDIA the driver with its Vulkan and EGL libraries, for AMD and Intel mesa-vulkan-drivers 25 or newer.',
      commands: [],
    },
  ]
}

/** Commands that install Mesa's Vulkan drivers, the software one included. */
function mesaCommands(findings: Findings): string[] {
  const { distribution, machine } = findings
  const sudo = machine.isRoot ? '' : 'sudo '
  const packages = 'libvulkan1 mesa-vulkan-drivers'
  if (distribution.codename === 'bookworm') {
    // Debian 12 has Mesa 22.3, which Dawn refuses.
    return [
      `echo 'deb http://deb.debian.org/debian bookworm-backports main' | ${sudo}tee /etc/apt/sources.list.d/backports.list`,
      `${sudo}apt-get update`,
      apt(findings, `-t bookworm-backports ${packages}`),
    ]
  }
  if (isDebian(distribution)) return [`${sudo}apt-get update`, apt(findings, packages)]
  if (/fedora|rhel/.test(family(distribution)))
    return [`${sudo}dnf install mesa-vulkan-drivers vulkan-loader`]
  if (/arch/.test(family(distribution))) return [`${sudo}pacman -S vulkan-swrast vulkan-icd-loader`]
  return []
}

function apt({ machine }: Findings, packages: string): string {
  return `${machine.isRoot ? '' : 'sudo '}apt-get install --no-install-recommends ${packages}`
}

function family({ id, like }: Distribution): string {
  return `${id} ${like}`
}

function isDebian(distribution: Distribution): boolean {
  return /debian|ubuntu/.test(family(distribution))
}
