// Plan → pipelines and bind groups, all made ahead, and the tight loop that encodes one step. Creates nothing per
// step but the command encoder and its pass.

import { invariant } from '../../core/errors.ts'
import { dimSymbols, evalDim, type DimEnv } from '../../graph/dim.ts'
import type { Plan } from '../../plan/types.ts'
import type { DeviceBuffer, PlanResources, PreparedPlan } from '../device.ts'
import type { PipelineCache } from './pipelines.ts'

export interface GpuBuffer extends DeviceBuffer {
  readonly handle: GPUBuffer
}

export interface GpuPlan extends PreparedPlan {
  readonly stepBuffer: GpuBuffer
  /** The buffer behind each plan buffer, by id. */
  readonly handles: readonly GPUBuffer[]
  readonly encode: (pass: GPUComputePassEncoder, dims: DimEnv) => void
  /** As `encode`, with a pass of its own for each dispatch, which the callback begins. */
  readonly encodeApart: (begin: (index: number) => GPUComputePassEncoder, dims: DimEnv) => void
}

export async function prepareGpuPlan(
  gpu: GPUDevice,
  cache: PipelineCache,
  plan: Plan,
  resources: PlanResources,
  stepBuffer: GpuBuffer,
): Promise<GpuPlan> {
  const handles = plan.buffers.map((buffer): GPUBuffer => {
    const found = findBuffer(buffer, resources, stepBuffer)
    invariant(found !== undefined && 'handle' in found, `a WebGPU buffer for ${buffer.label}`)
    invariant(found.bytes >= buffer.bytes, `${buffer.label} is large enough`)
    return (found as GpuBuffer).handle
  })
  const pipelines = await Promise.all(plan.dispatches.map((dispatch) => cache.pipeline(dispatch)))
  const params = gpu.createBindGroup({
    layout: cache.paramsLayout,
    entries: [{ binding: 0, resource: { buffer: stepBuffer.handle, size: 16 } }],
  })
  const groups = plan.dispatches.map((dispatch) =>
    gpu.createBindGroup({
      label: `${dispatch.origin} (${dispatch.variant})`,
      layout: cache.tensorLayout(dispatch),
      entries: dispatch.bindings.map(({ buffer, offset, bytes }, binding) => ({
        binding,
        resource: { buffer: handles[buffer]!, offset, size: bytes },
      })),
    }),
  )
  const grids = new GridCache(plan)
  return {
    plan,
    stepBuffer,
    handles,
    encode(pass, dims) {
      const workgroups = grids.at(dims)
      pass.setBindGroup(1, params)
      let current: GPUComputePipeline | undefined
      for (let i = 0; i < pipelines.length; i++) {
        const x = workgroups[3 * i]!
        const y = workgroups[3 * i + 1]!
        const z = workgroups[3 * i + 2]!
        if (x * y * z === 0) continue
        const pipeline = pipelines[i]!
        if (pipeline !== current) {
          pass.setPipeline(pipeline)
          current = pipeline
        }
        pass.setBindGroup(0, groups[i])
        pass.dispatchWorkgroups(x, y, z)
      }
    },
    encodeApart(begin, dims) {
      const workgroups = grids.at(dims)
      for (const [i, pipeline] of pipelines.entries()) {
        const [x, y, z] = workgroups.subarray(3 * i, 3 * i + 3) as unknown as [number, number, number]
        if (x * y * z === 0) continue
        const pass = begin(i)
        pass.setPipeline(pipeline)
        pass.setBindGroup(0, groups[i])
        pass.setBindGroup(1, params)
        pass.dispatchWorkgroups(x, y, z)
        pass.end()
      }
    },
    dispose: () => stepBuffer.destroy(),
  }
}

function findBuffer(
  buffer: Plan['buffers'][number],
  resources: PlanResources,
  stepBuffer: DeviceBuffer,
): DeviceBuffer | undefined {
  switch (buffer.role) {
    case 'step':
      return stepBuffer
    case 'weight':
      return resources.weights.get(buffer.key)
    case 'state':
      return resources.states.get(buffer.state)
    case 'arena':
      return resources.arena[buffer.slot]
    default:
      return buffer satisfies never
  }
}

/** Workgroup counts of all dispatches for the last dims seen: decode steps repeat them. */
class GridCache {
  readonly #plan: Plan
  readonly #workgroups: Uint32Array
  #dims: DimEnv | undefined

  constructor(plan: Plan) {
    this.#plan = plan
    this.#workgroups = new Uint32Array(plan.dispatches.length * 3)
  }

  at(dims: DimEnv): Uint32Array {
    const known = this.#dims
    if (known !== undefined && dimSymbols.every((name) => known[name] === dims[name])) return this.#workgroups
    this.#plan.dispatches.forEach(({ grid }, index) => {
      grid.forEach((dim, axis) => (this.#workgroups[3 * index + axis] = evalDim(dim, dims)))
    })
    this.#dims = { ...dims }
    return this.#workgroups
  }
}
