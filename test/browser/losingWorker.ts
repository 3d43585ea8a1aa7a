// The library's worker in a browser whose first GPUDevice is destroyed after some submits.

import '../../src/worker.ts'

let numSubmits = 0
let first: GPUDevice | undefined

const { requestDevice } = GPUAdapter.prototype
GPUAdapter.prototype.requestDevice = async function (...args) {
  const device = await requestDevice.apply(this, args)
  first ??= device
  return device
}

const { submit } = GPUQueue.prototype
GPUQueue.prototype.submit = function (...args) {
  submit.apply(this, args)
  if (this === first?.queue && ++numSubmits === 14) first.destroy()
}
