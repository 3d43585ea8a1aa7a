// A Device that notes what each step costs, around any other: an engine runs on it unchanged.

import type { Device } from '../device/device.ts'
import type { DimEnv } from '../graph/dim.ts'
import type { Plan } from '../plan/types.ts'

export interface MeteredStep {
  readonly plan: Plan
  readonly dims: DimEnv
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
        const { dims } = step
        if (meter.isProfiling && inner.profile !== undefined) {
          const begin = performance.now()
          const promise = inner.profile(prepared, step, outputs)
          const cpuMs = performance.now() - begin
          const profiled = await promise
          steps.push({ plan, dims, cpuMs, nanoseconds: profiled.nanoseconds })
          return profiled.outputs
        }
        const begin = performance.now()
        const promise = inner.run(prepared, step, outputs, batch)
        steps.push({ plan, dims, cpuMs: performance.now() - begin, nanoseconds: undefined })
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

/** Every token of the step belongs to another sequence. */
export function isDecode({ dims }: MeteredStep): boolean {
  return dims.T === dims.S
}
