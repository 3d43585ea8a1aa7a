// Compiles dispatches into pipelines, once for each distinct shader. Layouts are explicit, so that bind groups made
// for one variant fit every pipeline with the same accesses.

import { RuntimeFault } from '../../core/errors.ts'
import type { Dispatch } from '../../plan/types.ts'

export class PipelineCache {
  readonly #gpu: GPUDevice
  readonly #pipelines = new Map<string, Promise<GPUComputePipeline>>()
  readonly #tensorLayouts = new Map<string, GPUBindGroupLayout>()
  readonly paramsLayout: GPUBindGroupLayout

  constructor(gpu: GPUDevice) {
    this.#gpu = gpu
    this.paramsLayout = gpu.createBindGroupLayout({
      label: 'params',
      entries: [{ binding: 0, visibility: GPUShaderStage.COMPUTE, buffer: { type: 'uniform' } }],
    })
  }

  /** Layout of group 0 for a list of accesses. */
  tensorLayout(dispatch: Dispatch): GPUBindGroupLayout {
    const key = dispatch.bindings.map(({ access }) => access).join()
    let layout = this.#tensorLayouts.get(key)
    if (layout === undefined) {
      layout = this.#gpu.createBindGroupLayout({
        label: key,
        entries: dispatch.bindings.map(({ access }, binding) => ({
          binding,
          visibility: GPUShaderStage.COMPUTE,
          buffer: { type: access === 'read' ? 'read-only-storage' : 'storage' },
        })),
      })
      this.#tensorLayouts.set(key, layout)
    }
    return layout
  }

  /** Throws device/shader. Compilations in flight are shared. */
  pipeline(dispatch: Dispatch): Promise<GPUComputePipeline> {
    const key = dispatch.shader.code
    let pipeline = this.#pipelines.get(key)
    if (pipeline === undefined) {
      pipeline = this.#compile(dispatch)
      this.#pipelines.set(key, pipeline)
    }
    return pipeline
  }

  async #compile(dispatch: Dispatch): Promise<GPUComputePipeline> {
    const { shader, variant, origin } = dispatch
    this.#gpu.pushErrorScope('validation')
    const module = this.#gpu.createShaderModule({ label: variant, code: shader.code })
    const scope = this.#gpu.popErrorScope()
    const layout = this.#gpu.createPipelineLayout({
      label: variant,
      bindGroupLayouts: [this.tensorLayout(dispatch), this.paramsLayout],
    })
    const pipeline = this.#gpu
      .createComputePipelineAsync({
        label: variant,
        layout,
        compute: { module, entryPoint: shader.entryPoint },
      })
      .catch((error: unknown) => error)
    const [moduleError, result] = await Promise.all([scope, pipeline])
    if (moduleError === null && !(result instanceof Error)) return result as GPUComputePipeline
    const info = await module.getCompilationInfo()
    throw new RuntimeFault('device/shader', {
      where: `${origin} (${variant})`,
      expected: 'a shader that compiles',
      got: describeFailure(dispatch, info.messages, moduleError ?? result),
      fix: 'This is a bug in tabhopper or in the driver; please report it with this message.',
      cause: result,
    })
  }
}

function describeFailure(
  dispatch: Dispatch,
  messages: readonly GPUCompilationMessage[],
  error: unknown,
): string {
  const { code, lines } = dispatch.shader
  const errors = messages.filter(({ type }) => type === 'error')
  const located = errors.map(({ lineNum, linePos, message }) => {
    const from = lines[lineNum - 1]
    return `${from === undefined ? 'shader' : `${from.file}:${from.line}`}:${linePos}: ${message} (line ${lineNum} below)`
  })
  const summary =
    located.length > 0 ? located.join('\n') : String((error as { message?: string }).message ?? error)
  const numbered = code.split('\n').map((text, index) => `${String(index + 1).padStart(4)}  ${text}`)
  return `${summary}\n${numbered.join('\n')}\n`
}
