// Compiles dispatches into pipelines, once for each distinct shader. Layouts are explicit, so that bind groups made
// for one variant fit every pipeline with the same accesses.

import { RuntimeFault } from '../../core/errors.ts'
import { untilCancelled } from '../../core/untilCancelled.ts'
import type { Dispatch } from '../../plan/types.ts'
import type { CompileOptions } from '../device.ts'

/** Shaders that are compiled at once: what the cores can do, and no more, since one that has begun cannot be ended. */
const numCompiling = Math.min(
  16,
  Math.max(2, (globalThis.navigator as Navigator | undefined)?.hardwareConcurrency ?? 4),
)

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

  /** Throws device/shader, engine/cancelled; then nothing more is begun. */
  async compileAll(
    dispatches: readonly Dispatch[],
    { signal, onCompiled }: CompileOptions = {},
  ): Promise<void> {
    const distinct = new Map(dispatches.map((dispatch) => [dispatch.shader.code, dispatch]))
    // The longest first: on software adapters one of them may take as long as all others together.
    const waiting = [...distinct.values()].sort((a, b) => b.shader.code.length - a.shader.code.length)
    let numDone = 0
    let isOver = false
    const compileNext = async (): Promise<void> => {
      for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
        await this.pipeline(next)
        if (isOver || signal?.aborted === true) return
        onCompiled?.(++numDone, distinct.size)
      }
    }
    onCompiled?.(0, distinct.size)
    const compiling = Promise.all(Array.from({ length: numCompiling }, compileNext))
    try {
      await untilCancelled(compiling, 'shaders', signal)
    } finally {
      isOver = true
      waiting.length = 0
    }
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
