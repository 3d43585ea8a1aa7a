// A Dawn device on which mistakes show: no bounds checks in shaders, memory full of NaN before its first use, and a
// band behind every buffer that nothing may write to.

import { openDawnGpu } from '../../src/device/dawn/dawn.ts'
import type { Device, DeviceBuffer } from '../../src/device/device.ts'
import type { HalfMode } from '../../src/device/webgpu/capabilities.ts'
import type { GpuBuffer } from '../../src/device/webgpu/prepare.ts'
import { createWebGpuDevice } from '../../src/device/webgpu/webgpu.ts'

/** NaN as f32 and, twice, as f16. */
const poison = 0x7fff_7fff
const bandBytes = 256

export interface GuardedDevice {
  readonly device: Device
  /** Names of the live buffers whose bands have been written to. */
  strayWrites(): Promise<string[]>
}

export async function openGuardedDevice(half: HalfMode): Promise<GuardedDevice> {
  const { gpu, info } = await openDawnGpu({ boundsChecks: false })
  const inner = createWebGpuDevice(gpu, info, { half, polls: true })
  const guarded = new Map<DeviceBuffer, number>()
  const staging = gpu.createBuffer({
    size: bandBytes,
    usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST,
  })

  async function hasStrayWrite(buffer: DeviceBuffer, bytes: number): Promise<boolean> {
    const encoder = gpu.createCommandEncoder()
    encoder.copyBufferToBuffer((buffer as GpuBuffer).handle, bytes, staging, 0, bandBytes)
    gpu.queue.submit([encoder.finish()])
    await staging.mapAsync(GPUMapMode.READ)
    const band = new Uint32Array(staging.getMappedRange().slice(0))
    staging.unmap()
    return band.some((word) => word !== poison)
  }

  return {
    device: {
      ...inner,
      async alloc(bytes, owner, label) {
        const buffer = await inner.alloc(bytes + bandBytes, owner, label)
        const words = new Uint32Array((bytes + bandBytes) / 4).fill(poison)
        await inner.upload(buffer, 0, new Uint8Array(words.buffer))
        // Shaders only read weights, and those cannot be copied from.
        if (owner !== 'weights') guarded.set(buffer, bytes)
        return {
          ...buffer,
          destroy() {
            guarded.delete(buffer)
            buffer.destroy()
          },
        }
      },
    },
    async strayWrites() {
      const written: string[] = []
      for (const [buffer, bytes] of guarded) {
        if (await hasStrayWrite(buffer, bytes)) written.push(buffer.label)
      }
      return written
    },
  }
}
