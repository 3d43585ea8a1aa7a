// The library in a page: the public API over the page's WebGPU, with models from any FileStore.

import { createEngineOn, openModelStore } from './api/model.ts'
import type { Engine, EngineOptions } from './api/types.ts'
import { RuntimeFault } from './core/errors.ts'
import { describeAdapter, deviceDescriptor } from './device/webgpu/capabilities.ts'
import { createWebGpuDevice } from './device/webgpu/webgpu.ts'
import type { FileStore } from './core/files.ts'

export type * from './api/types.ts'
export { RuntimeFault, type FaultCode } from './core/errors.ts'
export { memoryStore, type ByteSource, type FileStore } from './core/files.ts'

export interface WebEngineOptions extends EngineOptions {
  /** The model's files in the layout of Hugging Face. */
  model: FileStore
  /** Default: navigator.gpu. */
  gpu?: GPU
}

/** Loads a model in this thread. Throws weights/*, model/*, device/* faults; on failure nothing stays allocated. */
export async function createEngine(options: WebEngineOptions): Promise<Engine> {
  const model = await openModelStore(options.model)
  try {
    const gpu = options.gpu ?? (globalThis.navigator as Navigator | undefined)?.gpu
    const adapter = await gpu?.requestAdapter({ powerPreference: 'high-performance' })
    if (adapter === null || adapter === undefined) {
      throw new RuntimeFault('device/adapter', {
        where: 'navigator.gpu',
        expected: 'a WebGPU adapter',
        got: 'none',
        fix: 'Use a browser with WebGPU, over https or on localhost.',
      })
    }
    const device = createWebGpuDevice(
      await adapter.requestDevice(deviceDescriptor(adapter)),
      describeAdapter(adapter, 'browser'),
    )
    return await createEngineOn(device, model, options)
  } finally {
    await model.close()
  }
}
