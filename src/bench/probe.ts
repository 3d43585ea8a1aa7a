// Runs one small shader over buffers of a GPUDevice and tells how long it took. Below the Device interface, because a
// roof is a property of the adapter and not of our plans.

import { RuntimeFault, throwIfCancelled } from '../core/errors.ts'
import { median, samplesOf, type Samples } from './statistics.ts'

/** Invocations of a workgroup in every probe. */
export const workgroupSize = 64

export interface ProbeShader {
  readonly name: string
  /** Constants and functions that the shader expects. */
  readonly prelude: readonly string[]
  readonly source: string
}

/** One dispatch of a probe. */
export interface ProbeLaunch {
  readonly source: GPUBuffer
  readonly result: GPUBuffer
  /** Rounds, loads or copies of one invocation: the first word of the shader's uniform. */
  readonly numSteps: number
  readonly workgroups: number
}

export interface Probe {
  /** Seconds of `repeats` submits of all launches, after one that is not counted. Throws engine/cancelled between them. */
  time(launches: readonly ProbeLaunch[], repeats: number, signal?: AbortSignal): Promise<Samples>
}

/** Throws device/shader if the adapter does not compile it. */
export async function makeProbe(gpu: GPUDevice, { name, prelude, source }: ProbeShader): Promise<Probe> {
  const code = [`const WG: u32 = ${workgroupSize}u;`, ...prelude, source].join('\n')
  gpu.pushErrorScope('validation')
  const module = gpu.createShaderModule({ label: name, code })
  const pipeline = await gpu
    .createComputePipelineAsync({ label: name, layout: 'auto', compute: { module, entryPoint: 'main' } })
    .catch((error: unknown) => error)
  const scope = await gpu.popErrorScope()
  if (scope !== null || pipeline instanceof Error) {
    throw new RuntimeFault('device/shader', {
      where: `probe ${name}`,
      expected: 'a shader that compiles',
      got: scope?.message ?? String(pipeline),
      fix: 'This adapter has no such roof; the benchmark goes on without it.',
      cause: pipeline,
    })
  }
  return {
    time: (launches, repeats, signal) =>
      timeLaunches(gpu, pipeline as GPUComputePipeline, launches, repeats, signal),
  }
}

async function timeLaunches(
  gpu: GPUDevice,
  pipeline: GPUComputePipeline,
  launches: readonly ProbeLaunch[],
  repeats: number,
  signal: AbortSignal | undefined,
): Promise<Samples> {
  const layout = pipeline.getBindGroupLayout(0)
  const uniforms: GPUBuffer[] = []
  const prepared = launches.map(({ source, result, numSteps, workgroups }) => {
    const uniform = gpu.createBuffer({ size: 16, usage: GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST })
    gpu.queue.writeBuffer(uniform, 0, Uint32Array.of(numSteps, 0, 0, 0))
    uniforms.push(uniform)
    const entries = [source, result, uniform].map((buffer, binding) => ({ binding, resource: { buffer } }))
    return { group: gpu.createBindGroup({ layout, entries }), workgroups }
  })
  const seconds: number[] = []
  try {
    for (let run = 0; run <= repeats; run++) {
      throwIfCancelled(signal, 'roofs')
      const encoder = gpu.createCommandEncoder()
      const pass = encoder.beginComputePass()
      pass.setPipeline(pipeline)
      for (const { group, workgroups } of prepared) {
        pass.setBindGroup(0, group)
        pass.dispatchWorkgroups(workgroups)
      }
      pass.end()
      const commands = encoder.finish()
      const begin = performance.now()
      gpu.queue.submit([commands])
      // While a promise of Dawn is pending, Node polls on a whole core, which a software adapter needs itself.
      if (seconds.length > 0) await sleep(median(seconds) * 700)
      await gpu.queue.onSubmittedWorkDone()
      if (run > 0) seconds.push((performance.now() - begin) / 1000)
    }
  } finally {
    for (const uniform of uniforms) uniform.destroy()
  }
  return samplesOf(seconds)
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, Math.floor(ms)))
}
