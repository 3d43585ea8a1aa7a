// A Device over a GPUDevice, whoever made it: a browser or Dawn. Adapter choice is not here.

import { f16ValueTable } from '../../core/dtype.ts'
import { RuntimeFault, invariant } from '../../core/errors.ts'
import { elementsOf } from '../../core/shape.ts'
import { evalDim, type DimEnv } from '../../graph/dim.ts'
import { tensorBytes, type Plan, type TensorLocation } from '../../plan/types.ts'
import type { Step } from '../../plan/stepLayout.ts'
import type {
  AdapterInfo,
  BufferOwner,
  Device,
  DeviceBuffer,
  PreparedPlan,
  ProfiledStep,
  ReadBatch,
  StepOutput,
} from '../device.ts'
import { MemoryLedger } from '../ledger.ts'
import { capabilitiesOf, type HalfMode } from './capabilities.ts'
import { makeBuffer, memoryFault, scoped, type ScopedErrors } from './errorScopes.ts'
import { PipelineCache } from './pipelines.ts'
import { prepareGpuPlan, type GpuBuffer, type GpuPlan } from './prepare.ts'
import { Pacer } from './pacer.ts'
import { ReadbackBatch, ReadbackPool, type ReadPlace } from './readback.ts'
import { DispatchTimer } from './timestamps.ts'

/** Uploaded bytes that may be on their way at once; more waits for the queue. */
const maxBytesInFlight = 16 * 2 ** 20

export interface WebGpuOptions {
  readonly half?: HalfMode | undefined
  /** Whether waiting keeps a core busy, as Dawn does in Node; a browser waits for free. */
  readonly polls?: boolean | undefined
  /** Others use the GPUDevice, too: it is left to its owner on dispose, and errors of others are not ours. */
  readonly isBorrowed?: boolean
}

/** A copy under way into a read-back buffer. */
interface PendingRead {
  readonly name: string
  readonly location: TensorLocation
  readonly shape: readonly number[]
  readonly place: ReadPlace
}

export function createWebGpuDevice(
  gpu: GPUDevice,
  adapter: AdapterInfo,
  options: WebGpuOptions = {},
): Device {
  const ledger = new MemoryLedger()
  const pipelines = new PipelineCache(gpu)
  const readback = new ReadbackPool(gpu, ledger)
  const pacer = options.polls === true ? new Pacer() : undefined
  const buffers = new Set<GpuBuffer>()
  let bytesInFlight = 0
  let failure: RuntimeFault | undefined
  const lost = gpu.lost.then(({ reason, message }) => {
    failure ??= lostFault(message)
    return { reason, message }
  })
  /** From here on nothing is right on this device. */
  const fail = (error: GPUError): RuntimeFault => (failure ??= stepFault(adapter, error))
  if (options.isBorrowed !== true) gpu.addEventListener('uncapturederror', ({ error }) => void fail(error))

  async function alloc(bytes: number, owner: BufferOwner, label: string): Promise<GpuBuffer> {
    if (failure !== undefined) throw failure
    const descriptor = { label, size: Math.max(bytes, 16), usage: usageOf(owner) }
    const { handle, made } = makeBuffer(gpu, descriptor, `${owner} ${label}`)
    await made
    ledger.add(owner, bytes)
    const buffer: GpuBuffer = {
      label,
      bytes,
      handle,
      destroy() {
        if (!buffers.delete(buffer)) return
        ledger.add(owner, -bytes)
        handle.destroy()
      },
    }
    buffers.add(buffer)
    return buffer
  }

  /** Submits before its first await. */
  async function runStep(
    prepared: GpuPlan,
    step: Step,
    outputs: readonly string[],
    timer: DispatchTimer | undefined,
    batch?: ReadBatch,
  ): Promise<Record<string, StepOutput>> {
    if (failure !== undefined) throw failure
    const { value: reads, errors } = scoped(gpu, () => submit(prepared, step, outputs, timer, batch))
    const results = resultsOf(reads, errors)
    return pacer === undefined || reads.length === 0 ? results : pacer.wait(results)
  }

  function submit(
    { plan, stepBuffer, handles, encode, encodeApart }: GpuPlan,
    step: Step,
    outputs: readonly string[],
    timer: DispatchTimer | undefined,
    batch: ReadBatch | undefined,
  ): PendingRead[] {
    gpu.queue.writeBuffer(stepBuffer.handle, 0, step.words as Int32Array<ArrayBuffer>)
    const encoder = gpu.createCommandEncoder()
    if (timer === undefined) {
      const pass = encoder.beginComputePass()
      encode(pass, step.dims)
      pass.end()
    } else {
      encodeApart((index) => timer.beginPass(encoder, index), step.dims)
      timer.finish(encoder)
    }
    const reads = outputs.map((name): PendingRead => {
      const { location, shape, bytes } = outputRange(plan, name, step.dims)
      const place = ((batch as ReadbackBatch | undefined) ?? readback).place(bytes)
      encoder.copyBufferToBuffer(handles[location.buffer]!, 0, place.buffer, place.offset, bytes)
      return { name, location, shape, place }
    })
    gpu.queue.submit([encoder.finish()])
    return reads
  }

  async function resultsOf(
    reads: readonly PendingRead[],
    errors: Promise<ScopedErrors>,
  ): Promise<Record<string, StepOutput>> {
    // Those of a lost device are not to be had; its news come by themselves.
    const verdict = errors.then(
      ({ validation, memory }) => validation ?? memory,
      () => null,
    )
    const results: Record<string, StepOutput> = {}
    for (const { name, location, shape, place } of reads) {
      const raw = await place.read().catch(async (error: unknown) => {
        // Nothing to read into: that the step was refused is only a consequence.
        if (error instanceof RuntimeFault) throw error
        const cause = await verdict
        throw cause === null ? (failure ?? lostFault(String(error))) : fail(cause)
      })
      results[name] = { shape, data: decodeOutput(raw, place.offset, location, shape) }
    }
    const error = await verdict
    if (error !== null) throw fail(error)
    if (failure !== undefined) throw failure
    return results
  }

  async function profileStep(
    prepared: PreparedPlan,
    step: Step,
    outputs: readonly string[],
  ): Promise<ProfiledStep> {
    if (failure !== undefined) throw failure
    const timer = new DispatchTimer(gpu, prepared.plan.dispatches.length)
    const results = runStep(prepared as GpuPlan, step, outputs, timer)
    const [times, read] = await Promise.all([timer.read(), results])
    return { outputs: read, nanoseconds: times }
  }

  return {
    name: 'webgpu',
    adapter,
    capabilities: capabilitiesOf(gpu, adapter, options.half),
    lost,
    alloc,
    async upload(buffer: DeviceBuffer, offset, data) {
      if (failure !== undefined) throw failure
      gpu.queue.writeBuffer((buffer as GpuBuffer).handle, offset, data)
      bytesInFlight += data.byteLength
      if (bytesInFlight < maxBytesInFlight) return
      bytesInFlight = 0
      await gpu.queue.onSubmittedWorkDone()
    },
    async compile(plans, options) {
      if (failure !== undefined) throw failure
      await pipelines.compileAll(
        plans.flatMap(({ dispatches }) => dispatches),
        options,
      )
    },
    async prepare(plan, resources) {
      if (failure !== undefined) throw failure
      const stepBuffer = await alloc(plan.step.words * 4, 'step', `step of ${plan.graph.name}`)
      try {
        return await prepareGpuPlan(gpu, pipelines, plan, resources, stepBuffer)
      } catch (error) {
        stepBuffer.destroy()
        throw error
      }
    },
    run: (prepared, step, outputs, batch) => runStep(prepared as GpuPlan, step, outputs, undefined, batch),
    batchReads: (numSteps) => new ReadbackBatch(readback, numSteps),
    profile: gpu.features.has('timestamp-query') ? profileStep : undefined,
    memory: () => ledger.snapshot(),
    dispose() {
      for (const buffer of buffers) buffer.destroy()
      readback.dispose()
      if (options.isBorrowed !== true) gpu.destroy()
    },
  }
}

/** What a step's own scope caught. */
function stepFault(adapter: AdapterInfo, error: GPUError): RuntimeFault {
  if (!('GPUOutOfMemoryError' in globalThis) || !(error instanceof GPUOutOfMemoryError))
    return validationFault(adapter, error)
  return memoryFault(adapter.description, 'memory for a step', error)
}

function validationFault({ description }: AdapterInfo, error: GPUError): RuntimeFault {
  return new RuntimeFault('device/validation', {
    where: description,
    expected: 'commands that the device accepts',
    got: error.message,
    fix: 'This is a bug in tabhopper; please report it.',
    cause: error,
  })
}

function lostFault(message: string): RuntimeFault {
  return new RuntimeFault('device/lost', {
    where: 'WebGPU device',
    expected: 'a live device',
    got: message,
    fix: 'Create a new engine.',
  })
}

function usageOf(owner: BufferOwner): number {
  const { STORAGE, UNIFORM, COPY_SRC, COPY_DST, MAP_READ } = GPUBufferUsage
  switch (owner) {
    case 'weights':
      return STORAGE | COPY_DST
    case 'states':
    case 'arena':
      return STORAGE | COPY_SRC | COPY_DST
    case 'step':
      return STORAGE | UNIFORM | COPY_DST
    case 'readback':
      return MAP_READ | COPY_DST
    default:
      return owner satisfies never
  }
}

function outputRange(
  plan: Plan,
  name: string,
  dims: DimEnv,
): { location: TensorLocation; shape: number[]; bytes: number } {
  const location = plan.outputs[name]
  invariant(location !== undefined, `output ${name} of plan ${plan.graph.name}`)
  const shape = location.shape.map((dim) => evalDim(dim, dims))
  const isView = location.offset !== 0 || (shape.length > 1 && location.rowStride !== shape.at(-1))
  invariant(!isView, `output ${name} is not a view`)
  const length = elementsOf(shape)
  return { location, shape, bytes: tensorBytes(length, location.dtype) }
}

function decodeOutput(
  raw: ArrayBuffer,
  offset: number,
  { dtype }: TensorLocation,
  shape: readonly number[],
): Float32Array | Int32Array {
  const length = elementsOf(shape)
  if (dtype === 'i32' || dtype === 'u32') return new Int32Array(raw, offset, length)
  if (dtype === 'f32') return new Float32Array(raw, offset, length)
  const table = f16ValueTable()
  return Float32Array.from(new Uint16Array(raw, offset, length), (bits) => table[bits]!)
}
