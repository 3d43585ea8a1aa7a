// Probes every driver, finds the one in use, and says why it is that one.

import type { CommandContext } from '../deps.ts'
import { adviseOn, type Advice } from './advice.ts'
import {
  findCards,
  findDistribution,
  findDrivers,
  pathVariable,
  type CardVendor,
  type DriverFile,
} from './drivers.ts'
import { probeDriver, type ProbeOutcome } from './probe.ts'

export interface ProbedDriver extends DriverFile {
  readonly outcome: ProbeOutcome
  /** Whether this is the adapter that is used. */
  readonly isUsed: boolean
}

export interface Diagnosis {
  /** What Dawn picks when it is left to itself. */
  readonly used: ProbeOutcome
  /** Why this one, or why none. */
  readonly why: string
  readonly drivers: readonly ProbedDriver[]
  readonly cards: readonly CardVendor[]
  readonly advice: readonly Advice[]
}

export async function diagnose(context: CommandContext): Promise<Diagnosis> {
  const { machine, env } = context
  const files = await findDrivers(machine, env)
  const [used, ...outcomes] = await inPairs([undefined, ...files.map(({ path }) => path)], (path) =>
    probeDriver(path, context),
  )
  const usedName = nameOf(used!)
  const candidates = files.map((file, index) => ({ ...file, outcome: outcomes[index]! }))
  const usedDriver = candidates.find(
    ({ outcome, isDefault }) => isDefault && usedName !== '' && nameOf(outcome) === usedName,
  )
  const drivers = candidates.map((driver) => ({ ...driver, isUsed: driver === usedDriver }))
  const cards = await findCards(machine)
  const stray = drivers.find(({ outcome, isDefault }) => !isDefault && outcome.status === 'accepted')
  return {
    used: used!,
    why: whyUsed(used!, drivers, pathVariable(env)?.name),
    drivers,
    cards,
    advice: adviseOn({
      machine,
      cards,
      distribution: await findDistribution(machine),
      adapter: used!.status !== 'accepted' ? 'none' : used!.probe.info.isSoftware ? 'software' : 'hardware',
      pathVariable: pathVariable(env)?.name,
      strayDriver: stray?.path,
    }),
  }
}

function nameOf(outcome: ProbeOutcome): string {
  return outcome.status === 'accepted' ? `${outcome.probe.info.device} ${outcome.probe.info.description}` : ''
}

function whyUsed(used: ProbeOutcome, drivers: readonly ProbedDriver[], variable: string | undefined): string {
  if (used.status === 'crashed' || used.status === 'timeout') return `Dawn did not answer: ${used.reason}`
  const searched = drivers.filter(({ isDefault }) => isDefault)
  if (used.status !== 'accepted') {
    if (variable !== undefined) return `${variable} names no driver with a device that Dawn accepts`
    if (searched.length === 0 && drivers.length > 0) return 'no Vulkan driver where the loader looks'
    return drivers.length === 0
      ? 'no Vulkan driver is installed'
      : 'none of the installed drivers has a device that Dawn accepts'
  }
  if (variable !== undefined) return `${variable} names its driver`
  const numAccepted = searched.filter(({ outcome }) => outcome.status === 'accepted').length
  if (numAccepted === 1) return 'the only installed driver with a device that Dawn accepts'
  return numAccepted === 0 ? "the system's own" : `Dawn's choice among ${numAccepted}`
}

/** Two at a time: a probe is mostly a driver that loads, and machines may be small. */
async function inPairs<T, R>(items: readonly T[], work: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = []
  let next = 0
  const lane = async (): Promise<void> => {
    while (next < items.length) {
      const index = next++
      results[index] = await work(items[index]!)
    }
  }
  await Promise.all([lane(), lane()])
  return results
}
