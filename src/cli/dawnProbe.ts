// An adapter as Dawn describes it, in the shape that commands use. Only src/cli.ts imports this.

import type { AdapterProbe } from './deps.ts'
import { probeDawnAdapter } from '../device/dawn/dawn.ts'

export async function probeAdapter(): Promise<AdapterProbe | undefined> {
  const found = await probeDawnAdapter()
  if (found === undefined) return undefined
  const { info, limits } = found
  return {
    info,
    limits: numbersOf(limits),
    languageFeatures: languageFeatures(),
    capabilities: {
      subgroups: info.features.includes('subgroups'),
      nativeF16: info.features.includes('shader-f16'),
      maxInvocationsPerWorkgroup: limits.maxComputeInvocationsPerWorkgroup,
      maxWorkgroupBytes: limits.maxComputeWorkgroupStorageSize,
      maxWorkgroupsPerDimension: limits.maxComputeWorkgroupsPerDimension,
      adapterClass: info.isSoftware ? 'software' : 'gpu',
      maxBindingBytes: limits.maxStorageBufferBindingSize,
      maxBufferBytes: limits.maxBufferSize,
      bindingAlignment: limits.minStorageBufferOffsetAlignment,
    },
  }
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

/** Of the instance that the probe has just made: WebGPU tells them without an adapter. */
function languageFeatures(): string[] {
  const { tabhopperDawn } = globalThis as { tabhopperDawn?: Map<string, GPU> }
  const [instance] = tabhopperDawn?.values() ?? []
  return [...(instance?.wgslLanguageFeatures ?? [])].sort()
}
