// From a WebGPU adapter to what the rest of the project needs to know. The only place that reads features and limits.

import type { Capabilities } from '../../plan/types.ts'
import type { AdapterInfo } from '../device.ts'

/** Features that are taken when the adapter has them. */
const wantedFeatures: readonly GPUFeatureName[] = ['shader-f16', 'subgroups', 'timestamp-query']

/** Limits that are asked for at the adapter's maximum; the others stay at the WebGPU default. */
const raisedLimits = [
  'maxStorageBufferBindingSize',
  'maxBufferSize',
  'maxComputeWorkgroupStorageSize',
  'maxComputeInvocationsPerWorkgroup',
  'maxComputeWorkgroupSizeX',
  'maxComputeWorkgroupSizeY',
  'maxComputeWorkgroupSizeZ',
  'maxStorageBuffersPerShaderStage',
] as const

/** Descriptor that asks for everything we can use. */
export function deviceDescriptor(adapter: GPUAdapter): GPUDeviceDescriptor {
  return {
    label: 'tabhopper',
    requiredFeatures: wantedFeatures.filter((feature) => adapter.features.has(feature)),
    requiredLimits: Object.fromEntries(raisedLimits.map((name) => [name, adapter.limits[name]])),
  }
}

export function describeAdapter(adapter: GPUAdapter, backend: string): AdapterInfo {
  const { info } = adapter
  return {
    vendor: info.vendor,
    architecture: info.architecture,
    device: info.device,
    description: info.description,
    backend,
    isSoftware:
      info.isFallbackAdapter || /llvmpipe|swiftshader|software/i.test(`${info.device} ${info.description}`),
    features: [...adapter.features].sort(),
    subgroupMinSize: info.subgroupMinSize,
    subgroupMaxSize: info.subgroupMaxSize,
  }
}

/** How f16 tensors are bound: as such, or packed in u32, which needs no feature. */
export type HalfMode = 'native' | 'packed'

/**
 * What plans may use on a device, or could on an adapter's; `half: 'packed'` gives up native f16 where it exists.
 */
export function capabilitiesOf(
  { features, limits }: Pick<GPUDevice, 'features' | 'limits'>,
  adapter: AdapterInfo,
  half?: HalfMode,
): Capabilities {
  return {
    subgroups: features.has('subgroups'),
    nativeF16: features.has('shader-f16') && half !== 'packed',
    maxInvocationsPerWorkgroup: limits.maxComputeInvocationsPerWorkgroup,
    maxWorkgroupBytes: limits.maxComputeWorkgroupStorageSize,
    maxWorkgroupsPerDimension: limits.maxComputeWorkgroupsPerDimension,
    adapterClass: adapter.isSoftware ? 'software' : 'gpu',
    maxBindingBytes: limits.maxStorageBufferBindingSize,
    maxBufferBytes: limits.maxBufferSize,
    bindingAlignment: limits.minStorageBufferOffsetAlignment,
  }
}
