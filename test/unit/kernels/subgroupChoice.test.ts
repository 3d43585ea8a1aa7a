// Which kernels an adapter's subgroups give it, from what the adapter tells to what plans take. Where sizes are a range, a
// kernel may not count on any: those that do are left out. That the kernels are right is tested in test/gpu.

import { expect, test } from 'vitest'
import { capabilitiesOf } from '../../../src/device/webgpu/capabilities.ts'
import { wgslKernels } from '../../../src/kernels/index.ts'
import { makePlan } from '../../../src/plan/plan.ts'
import type { AdapterInfo, SubgroupMatrix } from '../../../src/device/device.ts'
import { attentionCase, linearCase, unaryCase, type OpCase } from '../../helpers/opCases.ts'
import { minimalCapabilities } from '../models/tinyLlama.ts'

const attention = { numHeads: 4, numKvHeads: 2, headDim: 64, blockSize: 16, dtype: 'f16' } as const
const decode = linearCase(1, 256, 256, 'f16')
const ops: readonly OpCase[] = [
  { ...decode, maxima: decode.dims },
  linearCase(64, 256, 256, 'f16'),
  unaryCase('rmsNorm', 1, 256, 'f16'),
  attentionCase({ ...attention, sequences: [{ cached: 300, added: 1 }] }),
  attentionCase({ ...attention, sequences: [{ cached: 0, added: 20 }] }),
]

const matrix: SubgroupMatrix = { componentType: 'f16', resultComponentType: 'f32', M: 16, N: 8, K: 16 }

interface Subgroups {
  readonly isSoftware: boolean
  /** Smallest and largest; undefined where the adapter has none. */
  readonly sizes: readonly [number, number] | undefined
  readonly subgroupMatrices?: readonly SubgroupMatrix[]
}

/** Variants for decode and prefill products, a norm, decode and prefill attention. */
function chosen({ isSoftware, sizes, subgroupMatrices = [] }: Subgroups): string[] {
  const features = [
    'shader-f16',
    ...(sizes === undefined ? [] : ['subgroups']),
    ...(subgroupMatrices.length === 0 ? [] : ['chromium-experimental-subgroup-matrix']),
  ]
  const adapter: AdapterInfo = {
    vendor: '',
    architecture: '',
    device: '',
    description: '',
    backend: 'default',
    isSoftware,
    features,
    subgroupMatrices,
    subgroupMinSize: sizes?.[0],
    subgroupMaxSize: sizes?.[1],
  }
  const limits = {
    maxComputeInvocationsPerWorkgroup: 1024,
    maxComputeWorkgroupStorageSize: 49_152,
    maxComputeWorkgroupsPerDimension: minimalCapabilities.maxWorkgroupsPerDimension,
    maxStorageBufferBindingSize: minimalCapabilities.maxBindingBytes,
    maxBufferSize: minimalCapabilities.maxBufferBytes,
    minStorageBufferOffsetAlignment: minimalCapabilities.bindingAlignment,
  }
  const gpu = { features: new Set(features), limits } as unknown as Pick<GPUDevice, 'features' | 'limits'>
  const capabilities = capabilitiesOf(gpu, adapter)
  return ops.map(({ graph, maxima, kind }) => {
    const plan = makePlan(graph, { kernels: wgslKernels, capabilities, maxima })
    return plan.dispatches.find(({ origin }) => origin === kind)!.variant
  })
}

const plainGpu = ['linear_gemv', 'linear_tiled', 'rms_norm', 'attention_split', 'attention_rows']
const gpuWithSubgroups = ['linear_gemv_subgroups', ...plainGpu.slice(1)]
const plainCpu = ['linear_rows', 'linear_rows', 'rms_norm', 'attention_split', 'attention_rows']
const oneSubgroup = ['rms_norm_subgroup', 'attention_keys', 'attention_lanes']

test.each<[string, readonly [number, number] | undefined, readonly string[]]>([
  ['without subgroups', undefined, plainGpu],
  ['of one size, as most have', [32, 32], gpuWithSubgroups],
  ['of the widest size', [128, 128], gpuWithSubgroups],
  ['of a size that CPUs have', [8, 8], gpuWithSubgroups],
  ['of a range of sizes', [8, 32], gpuWithSubgroups],
])('a GPU %s: %j', (_name, sizes, variants) => {
  expect(chosen({ isSoftware: false, sizes })).toEqual(variants)
})

test('a GPU multiplies matrices by subgroups where all of these have one size', () => {
  const subgroupMatrices = [matrix]
  expect(chosen({ isSoftware: false, sizes: [32, 32], subgroupMatrices })).toContain('linear_matrix')
  expect(chosen({ isSoftware: false, sizes: [16, 32], subgroupMatrices })).toEqual(gpuWithSubgroups)
})

test.each<[string, readonly [number, number] | undefined, readonly string[]]>([
  ['without subgroups', undefined, plainCpu],
  ['of four, as SwiftShader', [4, 4], ['linear_rows', 'linear_rows', ...oneSubgroup]],
  ['of eight, as lavapipe', [8, 8], ['linear_narrow_tile', 'linear_subgroup_tile', ...oneSubgroup]],
  ['of 16', [16, 16], ['linear_narrow_tile', 'linear_subgroup_tile', ...oneSubgroup]],
  ['of more than a vector holds', [32, 32], plainCpu],
  ['of a range of sizes', [4, 8], plainCpu],
])('a CPU %s: %j', (_name, sizes, variants) => {
  expect(chosen({ isSoftware: true, sizes })).toEqual(variants)
})
