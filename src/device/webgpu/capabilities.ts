// From a WebGPU adapter to what the rest of the project needs to know. The only place that reads features and limits.

import type { Capabilities } from '../../plan/types.ts'
import type { MatrixShape } from '../../kernels/spec.ts'
import type { AdapterInfo, SubgroupMatrix } from '../device.ts'

/** Not in the types yet. */
const subgroupMatrixFeature = 'chromium-experimental-subgroup-matrix' as GPUFeatureName

/** Features that are taken when the adapter has them. */
const wantedFeatures: readonly GPUFeatureName[] = [
  'shader-f16',
  'subgroups',
  'timestamp-query',
  subgroupMatrixFeature,
]

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

export function describeAdapter(
  adapter: Pick<GPUAdapter, 'info' | 'features'>,
  backend: string,
): AdapterInfo {
  const { info } = adapter
  // Browsers mask device and description: of SwiftShader, Chromium then tells the architecture alone.
  const names = `${info.architecture} ${info.device} ${info.description}`
  return {
    vendor: info.vendor,
    architecture: info.architecture,
    device: info.device,
    description: nameOf(info),
    backend,
    isSoftware: info.isFallbackAdapter || /llvmpipe|swiftshader|software/i.test(names),
    features: [...adapter.features].sort(),
    subgroupMatrices: matricesOf(info),
    subgroupMinSize: info.subgroupMinSize,
    subgroupMaxSize: info.subgroupMaxSize,
  }
}

/** What is told of an adapter that masks its description, which Firefox does with all. */
function nameOf({ vendor, architecture, device, description }: GPUAdapterInfo): string {
  return description || device || `${vendor} ${architecture}`.trim() || 'unnamed adapter'
}

function matricesOf(info: GPUAdapterInfo): readonly SubgroupMatrix[] {
  const { subgroupMatrixConfigs: configs = [] } = info as { subgroupMatrixConfigs?: Iterable<SubgroupMatrix> }
  return Array.from(configs, ({ componentType, resultComponentType, M, N, K }) => ({
    componentType,
    resultComponentType,
    M,
    N,
    K,
  }))
}

/** The largest shape for f16 with f32 sums. */
function matrixShape({ subgroupMatrices = [] }: AdapterInfo): MatrixShape | undefined {
  return subgroupMatrices
    .filter(
      ({ componentType, resultComponentType }) => componentType === 'f16' && resultComponentType === 'f32',
    )
    .toSorted((a, b) => b.M * b.N * b.K - a.M * a.N * a.K)[0]
}

/** How f16 tensors are bound: as such, or packed in u32, which needs no feature. */
export type HalfMode = 'native' | 'packed'

/**
 * What plans may use on a device, or could on an adapter's. Without `half`, f16 is native where the adapter has it,
 * unless it computes on a CPU: that loads two halves in a word faster than one at a time.
 */
export function capabilitiesOf(
  { features, limits }: Pick<GPUDevice, 'features' | 'limits'>,
  adapter: AdapterInfo,
  half: HalfMode = adapter.isSoftware ? 'packed' : 'native',
): Capabilities {
  return {
    subgroups: features.has('subgroups'),
    subgroupSize: adapter.subgroupMinSize === adapter.subgroupMaxSize ? adapter.subgroupMinSize : undefined,
    subgroupMatrix: features.has(subgroupMatrixFeature) ? matrixShape(adapter) : undefined,
    nativeF16: features.has('shader-f16') && half === 'native',
    maxInvocationsPerWorkgroup: limits.maxComputeInvocationsPerWorkgroup,
    maxWorkgroupBytes: limits.maxComputeWorkgroupStorageSize,
    maxWorkgroupsPerDimension: limits.maxComputeWorkgroupsPerDimension,
    adapterClass: adapter.isSoftware ? 'software' : 'gpu',
    maxBindingBytes: limits.maxStorageBufferBindingSize,
    maxBufferBytes: limits.maxBufferSize,
    bindingAlignment: limits.minStorageBufferOffsetAlignment,
  }
}
