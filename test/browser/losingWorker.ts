// The library's worker in a browser whose first GPUDevice is destroyed after some submits.

export * from '../../src/worker.ts'

let numDevices = 0
const { gpu } = navigator
const requestAdapter = gpu.requestAdapter.bind(gpu)
gpu.requestAdapter = async (options) => {
  const adapter = await requestAdapter(options)
  const requestDevice = adapter!.requestDevice.bind(adapter)
  adapter!.requestDevice = async (descriptor) => {
    const device = await requestDevice(descriptor)
    if (numDevices++ === 0) loseAfter(device, 14)
    return device
  }
  return adapter
}

function loseAfter(device: GPUDevice, numSubmits: number): void {
  const { queue } = device
  const submit = queue.submit.bind(queue)
  queue.submit = (buffers) => {
    submit(buffers)
    if (--numSubmits === 0) device.destroy()
  }
}
