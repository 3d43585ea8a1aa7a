// WebGPU in Node: chooses toggles and an adapter of Dawn. The only importer of the `webgpu` package.

import { create, globals } from 'webgpu'
import { RuntimeFault } from '../../core/errors.ts'
import type { Capabilities } from '../../plan/types.ts'
import type { AdapterInfo, Device } from '../device.ts'
import { capabilitiesOf, describeAdapter, deviceDescriptor, type HalfMode } from '../webgpu/capabilities.ts'
import { createWebGpuDevice } from '../webgpu/webgpu.ts'

export interface DawnOptions {
  /** Part of an adapter's name. */
  readonly adapter?: string | undefined
  /** `null` compiles shaders and runs nothing. */
  readonly backend?: 'vulkan' | 'metal' | 'd3d12' | 'null' | undefined
  readonly half?: HalfMode | undefined
  /** Whether shaders check indices; without, a wrong one reads or writes foreign memory. Default true. */
  readonly boundsChecks?: boolean | undefined
  /** `minimum` asks for no feature and no limit above what WebGPU guarantees everywhere, and Dawn enforces them. */
  readonly limits?: 'adapter' | 'minimum' | undefined
}

const toggles = [
  // NVIDIA's Vulkan driver has f16, but Dawn hides it unless told.
  'enable-dawn-features=allow_unsafe_apis,vulkan_enable_f16_on_nvidia',
  // Real timestamps instead of multiples of 65 µs; fingerprinting is no concern outside a browser.
  'disable-dawn-features=timestamp_quantization',
]

/** Objects of create(): if one is collected, Dawn polls freed memory and the process crashes. */
const instances: Map<string, GPU> = ((globalThis as { tabhopperDawn?: Map<string, GPU> }).tabhopperDawn ??=
  new Map())

function dawnInstance({ adapter, backend, boundsChecks }: DawnOptions): GPU {
  if (!('GPUBufferUsage' in globalThis)) Object.assign(globalThis, globals)
  // Mesa complains on stderr when it has nowhere to put its sockets.
  process.env['XDG_RUNTIME_DIR'] ??= '/tmp'
  const options = [...toggles]
  if (adapter !== undefined) options.push(`adapter=${adapter}`)
  if (backend !== undefined) options.push(`backend=${backend}`)
  if (boundsChecks === false) options[0] += ',disable_robustness'
  const key = options.join(';')
  const known = instances.get(key)
  if (known !== undefined) return known
  const instance = create(options)
  instances.set(key, instance)
  return instance
}

async function requestAdapter(options: DawnOptions): Promise<GPUAdapter> {
  // Where it knows no adapter of the given name, Dawn throws a list of those that it knows.
  const adapter = await dawnInstance(options)
    .requestAdapter({ powerPreference: 'high-performance' })
    .catch((error: unknown) => error)
  if (adapter !== null && !(adapter instanceof Error)) return adapter as GPUAdapter
  const names = [...(adapter?.message ?? '').matchAll(/name: '([^']*)'/g)].map(([, name]) => name!)
  throw new RuntimeFault('device/adapter', {
    where: options.adapter ?? 'any adapter',
    expected: options.adapter === undefined ? 'an adapter that Dawn accepts' : 'an adapter of this name',
    got: names.length > 0 ? names.join(', ') : (adapter?.message.replaceAll(/\s+/g, ' ') ?? 'none'),
    fix:
      names.length > 0
        ? 'Give part of such a name. Another driver may be there all the same: `tabhopper doctor` lists them, and VK_DRIVER_FILES chooses one.'
        : 'Run `tabhopper doctor` to see what to install.',
    cause: adapter,
  })
}

export interface DawnProbe {
  readonly info: AdapterInfo
  readonly limits: GPUSupportedLimits
  readonly capabilities: Capabilities
  readonly languageFeatures: readonly string[]
}

/** The adapter that `openDawnDevice` would use; undefined if there is none. */
export async function probeDawnAdapter(options: DawnOptions = {}): Promise<DawnProbe | undefined> {
  const adapter = await requestAdapter(options).catch((error: unknown) => {
    if (error instanceof RuntimeFault) return undefined
    throw error
  })
  if (adapter === undefined) return undefined
  const info = describeAdapter(adapter, options.backend ?? 'default')
  return {
    info,
    limits: adapter.limits,
    capabilities: capabilitiesOf(adapter, info),
    languageFeatures: [...dawnInstance(options).wgslLanguageFeatures].sort(),
  }
}

/** A raw device and what is known of its adapter, for those who measure below `Device`. Throws device/adapter. */
export async function openDawnGpu(
  options: DawnOptions = {},
): Promise<{ readonly gpu: GPUDevice; readonly info: AdapterInfo }> {
  const adapter = await requestAdapter(options)
  const info = describeAdapter(adapter, options.backend ?? 'default')
  const descriptor = options.limits === 'minimum' ? { label: 'tabhopper' } : deviceDescriptor(adapter)
  return { gpu: await adapter.requestDevice(descriptor), info }
}

/** Throws device/adapter if Dawn accepts none. */
export async function openDawnDevice(options: DawnOptions = {}): Promise<Device> {
  const { gpu, info } = await openDawnGpu(options)
  return createWebGpuDevice(gpu, info, { half: options.half, polls: true })
}
