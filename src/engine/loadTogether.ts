// Weights stream in while shaders compile, and whichever fails first ends the other. Not here: either of them
// (loadWeights.ts, device.compile), and what comes after both (load.ts).

import { throwIfCancelled } from '../core/errors.ts'
import type { Device, DeviceBuffer } from '../device/device.ts'
import type { Plan } from '../plan/types.ts'
import { checkWeights, loadWeights, type LoadWeightsOptions, type WeightSource } from './loadWeights.ts'

export interface LoadTogetherOptions extends LoadWeightsOptions {
  /** Called once the weights are there, with the shaders compiled by then, and with each one that still comes. */
  readonly onCompile?: ((done: number, total: number) => void) | undefined
}

/**
 * The weights of plans, whose shaders are compiled by then. On failure nothing stays allocated. Throws what loading and
 * compiling throw; engine/cancelled as soon as the signal fires.
 */
export async function loadTogether(
  device: Device,
  plans: readonly Plan[],
  source: WeightSource,
  { signal, onProgress, onCompile }: LoadTogetherOptions,
): Promise<Map<string, DeviceBuffer>> {
  throwIfCancelled(signal, source.name)
  // Before anything is begun that would have to be ended.
  checkWeights(plans, source)
  const failure = new AbortController()
  const either = signal === undefined ? failure.signal : AbortSignal.any([signal, failure.signal])
  let compiled: readonly [done: number, total: number] | undefined
  let hasWeights = false
  const compiling = device.compile(plans, {
    signal: either,
    onCompiled(done, total) {
      compiled = [done, total]
      if (hasWeights) onCompile?.(done, total)
    },
  })
  const loading = loadWeights(device, plans, source, { signal: either, onProgress })
  const telling = loading.then(() => {
    hasWeights = true
    if (compiled !== undefined) onCompile?.(...compiled)
  })
  const tasks = [loading, compiling, telling] as const
  // The reason is the first failure: others are its consequences.
  for (const task of tasks) task.catch((error: unknown) => failure.abort(error))
  const [weights] = await Promise.allSettled(tasks)
  if (weights.status === 'fulfilled' && !failure.signal.aborted) return weights.value
  if (weights.status === 'fulfilled') for (const buffer of weights.value.values()) buffer.destroy()
  throw failure.signal.reason
}
