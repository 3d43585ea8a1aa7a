// Times of dispatches, added up by kernel.

import type { MeteredStep } from './meter.ts'

export interface KernelTime {
  readonly op: string
  readonly variant: string
  /** Where in the layers, without their numbers nor those of bands: `layers.*.mlp.down_proj`, `lm_head[*]`. */
  readonly origin: string
  readonly dispatches: number
  readonly ms: number
  /** Of all kernels together. */
  readonly share: number
}

/** Sums over `steps`, divided by `divisor`; longest first. */
export function kernelTimes(steps: readonly MeteredStep[], divisor: number): KernelTime[] {
  const rows = new Map<
    string,
    { op: string; variant: string; origin: string; dispatches: number; ms: number }
  >()
  let total = 0
  for (const { plan, nanoseconds } of steps) {
    if (nanoseconds === undefined) continue
    for (const [index, { op, variant, origin: place }] of plan.dispatches.entries()) {
      const origin = place.replace(/\blayers\.\d+\b/, 'layers.*').replaceAll(/\[\d+:\d+\]/g, '[*]')
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
