// An adapter as Dawn describes it, in the shape that commands use. Only src/cli.ts imports this.

import type { AdapterProbe } from './deps.ts'
import { probeDawnAdapter } from '../device/dawn/dawn.ts'

export async function probeAdapter(): Promise<AdapterProbe | undefined> {
  const found = await probeDawnAdapter()
  if (found === undefined) return undefined
  return { ...found, limits: numbersOf(found.limits) }
}

/** Limits are getters of a prototype, which no spread or JSON sees. */
function numbersOf(limits: GPUSupportedLimits): Record<string, number> {
  const numbers: Record<string, number> = {}
  for (const name in limits) {
    const value: unknown = limits[name as keyof GPUSupportedLimits]
    if (typeof value === 'number') numbers[name] = value
  }
  return numbers
}
