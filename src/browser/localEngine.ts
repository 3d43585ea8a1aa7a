// An engine in this thread, page or worker, over navigator.gpu or a given device.

import { createEngineOn } from '../api/model.ts'
import type { Engine, EngineOptions, ModelOptions, ModelSource } from '../api/types.ts'
import { RuntimeFault } from '../core/errors.ts'
import type { Device } from '../device/device.ts'
import { describeAdapter, deviceDescriptor } from '../device/webgpu/capabilities.ts'
import { createWebGpuDevice } from '../device/webgpu/webgpu.ts'
import { openModelSource } from './modelSource.ts'

/** Throws weights/*, model/*, device/* faults; on failure nothing stays allocated. */
export async function createLocalEngine(
  source: ModelSource,
  options: EngineOptions & ModelOptions,
  gpu?: GPUDevice,
): Promise<Engine> {
  const model = await openModelSource(source, options)
  try {
    const device = gpu === undefined ? await openDevice() : borrowDevice(gpu)
    return await createEngineOn(device, model, options)
  } finally {
    await model.close()
  }
}

async function openDevice(): Promise<Device> {
  // Types say that it is there; without https, and in some workers, it is not.
  const gpu = navigator.gpu as GPU | undefined
  const adapter = await gpu?.requestAdapter({ powerPreference: 'high-performance' })
  if (adapter === null || adapter === undefined) throw noAdapterFault()
  const info = describeAdapter(adapter, 'browser')
  const device = await adapter.requestDevice(deviceDescriptor(adapter)).catch((cause: unknown) => {
    throw noDeviceFault(info.description, cause)
  })
  return createWebGpuDevice(device, info)
}

function borrowDevice(gpu: GPUDevice): Device {
  const adapter = describeAdapter({ info: gpu.adapterInfo, features: gpu.features }, 'browser')
  return createWebGpuDevice(gpu, adapter, { isBorrowed: true })
}

function noDeviceFault(where: string, cause: unknown): RuntimeFault {
  return new RuntimeFault('device/adapter', {
    where,
    expected: 'a device',
    got: String(cause),
    fix: 'Load the page again; if that does not help, restart the browser.',
    cause,
  })
}

function noAdapterFault(): RuntimeFault {
  const isPage = typeof document !== 'undefined'
  return new RuntimeFault('device/adapter', {
    where: `navigator.gpu of the ${isPage ? 'page' : 'worker'}`,
    expected: 'a WebGPU adapter',
    got: 'none',
    fix: isPage
      ? 'Use a browser with WebGPU, over https or on localhost.'
      : 'Pass worker: false to run in the page, and use a browser with WebGPU, over https or on localhost.',
  })
}
