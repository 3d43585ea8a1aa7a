// Opens the device that benchmarks run on. Only src/cli.ts imports this, when needed.

import { loadavg } from 'node:os'
import { openDawnGpu } from '../device/dawn/dawn.ts'
import { createWebGpuDevice } from '../device/webgpu/webgpu.ts'
import type { BenchDevice } from './deps.ts'

export async function openBenchDevice(adapter: string | undefined): Promise<BenchDevice> {
  const { gpu, info } = await openDawnGpu({ adapter })
  return {
    device: createWebGpuDevice(gpu, info, { polls: true }),
    gpu,
    availableMemoryBytes: process.availableMemory(),
    loadAverage: () => loadavg()[0]!,
  }
}
