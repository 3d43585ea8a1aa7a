// Times of dispatches, added up by kernel.

import type { Plan } from '../plan/types.ts'

/** What is known of a step's dispatches once they have run. */
export interface TimedStep {
  readonly plan: Plan
  /** By dispatch; undefined where the step was not timed. */
  readonly nanoseconds: Float64Array | undefined
}

/** Time of all dispatches with one kernel and one place in the layers. */
export interface KernelTime {
  /** Kind of op. */
  readonly op: string
  /** Name of the kernel. */
  readonly variant: string
  /** Where in the layers, without their numbers nor those of bands: `layers.*.mlp.down_proj`, `lm_head[*]`. */
  readonly origin: string
  /** In a step. */
  readonly dispatches: number
  /** In a step. */
  readonly ms: number
  /** Of all kernels together. */
  readonly share: number
}

/** The `origin` that kernels of alike layers and bands share. */
export function placeOf(origin: string): string {
  return origin.replace(/\blayers\.\d+\b/, 'layers.*').replaceAll(/\[\d+:\d+\]/g, '[*]')
}

/** Sums over `steps`, divided by `divisor`; longest first. */
export function kernelTimes(steps: readonly TimedStep[], divisor: number): KernelTime[] {
  const rows = new Map<
    string,
    { op: string; variant: string; origin: string; dispatches: number; ms: number }
  >()
  let total = 0
  for (const { plan, nanoseconds } of steps) {
    if (nanoseconds === undefined) continue
    for (const [index, { op, variant, origin: place }] of plan.dispatches.entries()) {
      const origin = placeOf(place)
      const key = `${variant} ${origin}`
      let row = rows.get(key)
      if (row === undefined) rows.set(key, (row = { op, variant, origin, dispatches: 0, ms: 0 }))
      const ms = nanoseconds[index]! / 1e6 / divisor
      row.dispatches++
      row.ms += ms
      total += ms
    }
  }
  return [...rows.values()]
    .sort((a, b) => b.ms - a.ms)
    .map((row) => ({ ...row, dispatches: row.dispatches / divisor, share: total === 0 ? 0 : row.ms / total }))
}
