// Which adapters count as software, by what each of them tells of itself.

import { expect, test } from 'vitest'
import { describeAdapter } from '../../../src/device/webgpu/capabilities.ts'

function isSoftware(info: Partial<GPUAdapterInfo>): boolean {
  const silent = { vendor: '', architecture: '', device: '', description: '', isFallbackAdapter: false }
  const adapter = { info: { ...silent, ...info }, features: new Set() } as unknown as GPUAdapter
  return describeAdapter(adapter, 'browser').isSoftware
}

test.each<[string, Partial<GPUAdapterInfo>]>([
  ['SwiftShader in Chromium, which masks device and description', { architecture: 'swiftshader' }],
  ['llvmpipe by its architecture', { vendor: 'mesa', architecture: 'llvmpipe' }],
  ['lavapipe in Node', { description: 'llvmpipe (LLVM 19.1.7, 256 bits)' }],
  ['SwiftShader in Node', { device: 'SwiftShader Device (Subzero)' }],
  ['what calls itself a fallback', { vendor: 'google', isFallbackAdapter: true }],
])('%s is software', (_name, info) => {
  expect(isSoftware(info)).toBe(true)
})

test.each<[string, Partial<GPUAdapterInfo>]>([
  ['a masked GPU', { vendor: 'nvidia', architecture: 'ampere' }],
  ['a GPU that tells nothing', {}],
])('%s is not', (_name, info) => {
  expect(isSoftware(info)).toBe(false)
})
