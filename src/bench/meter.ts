// A Device that notes what each step costs, around any other: an engine runs on it unchanged.

import type { Device } from '../device/device.ts'
import type { Plan } from '../plan/types.ts'

interface MeteredStep {
  readonly plan: Plan
  /** Whether tokens of prompts are computed in it. */
  readonly isPrefill: boolean
  /** From the call of `run` until it returned its promise: encode and submit. */
  readonly cpuMs: number
  /** By dispatch; only of profiled steps. */
  readonly nanoseconds: Float64Array | undefined
}

export interface Meter {
  readonly device: Device
  /** Steps since the last `take`, which empties the list. */
  readonly take: () => MeteredStep[]
  /** Whether steps are profiled from here on; only where the device can. */
  isProfiling: boolean
}

export function meterDevice(inner: Device): Meter {
  let steps: MeteredStep[] = []
  const meter: Meter = {
    device: {
      ...inner,
      async run(prepared, step, outputs, batch) {
        const { plan } = prepared
        const isPrefill = step.isPrefill === true
        if (meter.isProfiling && inner.profile !== undefined) {
          const begin = performance.now()
          const promise = inner.profile(prepared, step, outputs)
          const cpuMs = performance.now() - begin
          const profiled = await promise
          steps.push({ plan, isPrefill, cpuMs, nanoseconds: profiled.nanoseconds })
          return profiled.outputs
        }
        const begin = performance.now()
        const promise = inner.run(prepared, step, outputs, batch)
        steps.push({ plan, isPrefill, cpuMs: performance.now() - begin, nanoseconds: undefined })
        return promise
      },
    },
    take() {
      const taken = steps
      steps = []
      return taken
    },
    isProfiling: false,
  }
  return meter
}
