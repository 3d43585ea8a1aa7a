// Kernels through WebGPU of a real browser: of each op and dtype the first case, against the f64 reference. The others run
// on the same driver in Node (test/gpu/ops.test.ts).

import { afterAll, beforeAll, test } from 'vitest'
import type { Device } from '../../src/device/device.ts'
import { describeAdapter, deviceDescriptor } from '../../src/device/webgpu/capabilities.ts'
import { createWebGpuDevice } from '../../src/device/webgpu/webgpu.ts'
import { wgslKernels } from '../../src/kernels/index.ts'
import { compareOp } from '../helpers/compareOp.ts'
import { opCases } from '../helpers/opCases.ts'

const cases = opCases().filter(
  ({ kind, dtype }, index, all) =>
    all.findIndex((other) => other.kind === kind && other.dtype === dtype) === index,
)

let device: Device
beforeAll(async () => {
  const adapter = (await navigator.gpu.requestAdapter())!
  const gpu = await adapter.requestDevice(deviceDescriptor(adapter))
  device = createWebGpuDevice(gpu, describeAdapter(adapter, 'browser'))
})
afterAll(() => device.dispose())

test.each(cases)('$name', async (opCase) => {
  await compareOp(opCase, device, wgslKernels)
})
