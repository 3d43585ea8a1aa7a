// Which adapters count as software, and how they are named, by what each of them tells of itself.

import { expect, test } from 'vitest'
import type { AdapterInfo } from '../../../src/device/device.ts'
import { describeAdapter } from '../../../src/device/webgpu/capabilities.ts'

function describe(info: Partial<GPUAdapterInfo>): AdapterInfo {
  const silent = { vendor: '', architecture: '', device: '', description: '', isFallbackAdapter: false }
  const adapter = { info: { ...silent, ...info }, features: new Set() } as unknown as GPUAdapter
  return describeAdapter(adapter, 'browser')
}

test.each<[string, Partial<GPUAdapterInfo>]>([
  ['SwiftShader in Chromium, which masks device and description', { architecture: 'swiftshader' }],
  ['llvmpipe by its architecture', { vendor: 'mesa', architecture: 'llvmpipe' }],
  ['lavapipe in Node', { description: 'llvmpipe (LLVM 19.1.7, 256 bits)' }],
  ['SwiftShader in Node', { device: 'SwiftShader Device (Subzero)' }],
  ['what calls itself a fallback', { vendor: 'google', isFallbackAdapter: true }],
])('%s is software', (_name, info) => {
  expect(describe(info).isSoftware).toBe(true)
})

test.each<[string, Partial<GPUAdapterInfo>]>([
  ['a masked GPU', { vendor: 'nvidia', architecture: 'ampere' }],
  ['a GPU that tells nothing', {}],
])('%s is not', (_name, info) => {
  expect(describe(info).isSoftware).toBe(false)
})

test.each<[Partial<GPUAdapterInfo>, string]>([
  [{ vendor: 'nvidia', device: '0x2684', description: 'NVIDIA GeForce RTX 4090' }, 'NVIDIA GeForce RTX 4090'],
  [{ vendor: 'google', architecture: 'swiftshader' }, 'google swiftshader'],
  [{ vendor: 'apple' }, 'apple'],
  [{}, 'unnamed adapter'],
])('%o has a name', (info, name) => {
  expect(describe(info).description).toBe(name)
})
