// What a device is: memory, uploads, prepared plans, steps. The only file of this folder that others import, besides
// the entries, which choose an implementation.

import type { StateId } from '../core/brand.ts'
import type { Step } from '../plan/stepLayout.ts'
import type { Capabilities, Plan } from '../plan/types.ts'

/** One shape and pair of types in which an adapter multiplies matrices: [M, K] by [K, N]. */
export interface SubgroupMatrix {
  /** Of both factors. */
  readonly componentType: string
  /** Of sums and result. */
  readonly resultComponentType: string
  /** Rows of the left factor and the result. */
  readonly M: number
  /** Columns of the right factor and the result. */
  readonly N: number
  /** Terms of a sum. */
  readonly K: number
}

/** What is known of an adapter; empty strings where it does not say. */
export interface AdapterInfo {
  /** Such as `nvidia`, as WebGPU has it. */
  readonly vendor: string
  /** Family of devices. */
  readonly architecture: string
  /** The vendor's id of the device. */
  readonly device: string
  /** For people; never empty. */
  readonly description: string
  /** What is beneath: `browser`, `reference`, or the back end that Dawn was asked for, else `default`. */
  readonly backend: string
  /** Runs on CPU cores: right, but slow. */
  readonly isSoftware: boolean
  /** WebGPU features that the adapter has. */
  readonly features: readonly string[]
  /** Products of matrices that a subgroup computes as one, where the adapter has any. */
  readonly subgroupMatrices?: readonly SubgroupMatrix[] | undefined
  /** Invocations of the smallest subgroup; undefined where it is not told. */
  readonly subgroupMinSize: number | undefined
  /** Invocations of the largest subgroup; undefined where it is not told. */
  readonly subgroupMaxSize: number | undefined
}

/**
 * What memory is for: the model, the KV cache, results inside a step, inputs of a step, and results on their way to the
 * host.
 */
export type BufferOwner = 'weights' | 'states' | 'arena' | 'step' | 'readback'

/** Memory of a device. Destroyed by its owner; the device destroys what is left on dispose. */
export interface DeviceBuffer {
  readonly label: string
  readonly bytes: number
  destroy(): void
}

/** Memory that plans share. */
export interface PlanResources {
  /** By weight key. */
  readonly weights: ReadonlyMap<string, DeviceBuffer>
  /** By state id. */
  readonly states: ReadonlyMap<StateId, DeviceBuffer>
  /** By arena slot; each at least as large as the plan's. */
  readonly arena: readonly DeviceBuffer[]
}

/** A plan with pipelines and bind groups made: running it creates nothing. */
export interface PreparedPlan {
  readonly plan: Plan
  dispose(): void
}

/** How shaders are compiled. */
export interface CompileOptions {
  /** Ends the wait at once; of what was not begun, nothing is compiled. */
  readonly signal?: AbortSignal | undefined
  /** Called with 0 when it begins, and whenever a shader is done. */
  readonly onCompiled?: ((done: number, total: number) => void) | undefined
}

/** A result tensor: f64 from the reference, f32 or i32 from the others. */
export interface StepOutput {
  readonly shape: readonly number[]
  readonly data: Float32Array | Float64Array | Int32Array
}

/** Results of a profiled step. */
export interface ProfiledStep {
  readonly outputs: Readonly<Record<string, StepOutput>>
  /** Device time by index of the plan's dispatches; 0 for those whose grid was empty. */
  readonly nanoseconds: Float64Array
}

/** Steps whose outputs come back together, with one wait. */
export interface ReadBatch {
  /** No step joins it any more, and its outputs are read. Idempotent. */
  finish(): void
}

/** Why a device was lost. */
export interface LostInfo {
  /** WebGPU's word for it: `unknown` or `destroyed`. */
  readonly reason: string
  /** The driver's, for people. */
  readonly message: string
}

export interface Device {
  readonly name: 'webgpu' | 'reference' | 'recording'
  readonly adapter: AdapterInfo
  readonly capabilities: Capabilities
  /** Resolves once when the device is gone. `dispose` ends it as well, but not where the GPUDevice was borrowed. */
  readonly lost: Promise<LostInfo>

  /** Zero-filled memory. Throws device/memory when there is none. */
  alloc(bytes: number, owner: BufferOwner, label: string): Promise<DeviceBuffer>
  /** Copies a slice of bytes (a multiple of four, at a multiple of four); resolves when more may be sent. */
  upload(buffer: DeviceBuffer, offset: number, data: Uint8Array<ArrayBuffer>): Promise<void>
  /**
   * Compiles the shaders of plans ahead of `prepare`, which needs their memory; this does not. Throws device/shader with
   * the numbered WGSL where a shader fails, engine/cancelled.
   */
  compile(plans: readonly Plan[], options?: CompileOptions): Promise<void>
  /** Binds a plan to its memory, and compiles what has not been compiled. Throws device/shader. */
  prepare(plan: Plan, resources: PlanResources): Promise<PreparedPlan>
  /**
   * Runs one step. Work is submitted before `run` returns, in call order; the promise resolves when the asked
   * outputs have been read back, so a caller may submit the next step first. `step` may be reused at once. With a
   * `batch`, outputs are read when that is finished.
   */
  run(
    prepared: PreparedPlan,
    step: Step,
    outputs: readonly string[],
    batch?: ReadBatch,
  ): Promise<Readonly<Record<string, StepOutput>>>
  /** A batch of at most `numSteps` steps, each with the same outputs or none. */
  batchReads(numSteps: number): ReadBatch
  /** As `run`, and slower: also tells how long each dispatch took. Absent where the adapter has no timestamps. */
  readonly profile?:
    | ((prepared: PreparedPlan, step: Step, outputs: readonly string[]) => Promise<ProfiledStep>)
    | undefined
  /** Bytes allocated by owner. */
  memory(): Readonly<Record<BufferOwner, number>>
  /** Frees everything. Idempotent. */
  dispose(): void
}

/**
 * Largest read-back whose buffer is kept for the next one: the tokens of 64 steps of 256 sequences. What is larger are
 * logits, which are read now and then, and would stay beside the model outside every budget.
 */
export const largestKeptRead: number = 64 * 256 * 4

/** Bytes of the buffer through which `bytes` are read back: of those that are kept few sizes, so that they serve again. */
export function readbackSize(bytes: number): number {
  return bytes > largestKeptRead ? bytes : Math.max(256, 2 ** Math.ceil(Math.log2(bytes)))
}
