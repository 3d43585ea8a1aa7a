// An engine in this thread, page or worker, over navigator.gpu or a given device.

import { orderedProgress } from '../api/loadProgress.ts'
import { createEngineOn, type OpenedModel, type Reopen } from '../api/model.ts'
import type { Engine, EngineOptions, ModelOptions, ModelSource } from '../api/types.ts'
import { RuntimeFault } from '../core/errors.ts'
import type { Device } from '../device/device.ts'
import { describeAdapter, deviceDescriptor } from '../device/webgpu/capabilities.ts'
import { createWebGpuDevice } from '../device/webgpu/webgpu.ts'
import { browserCache } from './browserCache.ts'
import { openModelSource } from './modelSource.ts'

/** Throws weights/*, model/*, device/* faults; on failure nothing stays allocated. */
export async function createLocalEngine(
  source: ModelSource,
  { onProgress, ...rest }: LocalOptions,
  gpu?: GPUDevice,
): Promise<Engine> {
  const options: LocalOptions = {
    warmUp: true,
    ...rest,
    ...(onProgress && { onProgress: orderedProgress(onProgress) }),
  }
  const { device, model } = await openBoth(source, options, gpu)
  // A device that was passed in cannot be made again here; progress is of the first load alone.
  const reopen: Reopen | undefined =
    gpu === undefined ? (signal) => openBoth(source, { ...rest, signal }) : undefined
  try {
    return await createEngineOn(device, model, options, reopen, browserCache)
  } finally {
    await model.close()
  }
}

type LocalOptions = EngineOptions & ModelOptions

/** At the same time: neither needs the other, and each takes a while. */
async function openBoth(source: ModelSource, options: LocalOptions, gpu?: GPUDevice): Promise<OpenedModel> {
  const [model, device] = await Promise.allSettled([
    openModelSource(source, options),
    gpu === undefined ? openDevice() : borrowDevice(gpu),
  ])
  if (model.status === 'fulfilled' && device.status === 'fulfilled') {
    return { device: device.value, model: model.value }
  }
  if (device.status === 'fulfilled') device.value.dispose()
  if (model.status === 'rejected') throw model.reason
  await model.value.close()
  throw device.status === 'rejected' ? device.reason : undefined
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
