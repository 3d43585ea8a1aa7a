// What a plan is: buffers, dispatches and the layout of the step's inputs, as plain data. Making one is in plan.ts.

import type { BufferId, StateId, ValueId } from '../core/brand.ts'
import type { DType } from '../core/dtype.ts'
import type { Dim, DimEnv } from '../graph/dim.ts'
import type { Graph } from '../graph/graph.ts'
import type { WeightExpr } from '../graph/weightExpr.ts'
import type { AssembledShader } from '../kernels/assemble.ts'
import type { BindingAccess, KernelCapabilities } from '../kernels/spec.ts'

/** Adapter limits that bind a plan; tests pass the WebGPU minimum. */
export interface Capabilities extends KernelCapabilities {
  readonly maxBindingBytes: number
  readonly maxBufferBytes: number
  /** Byte alignment of a binding's offset inside its buffer. */
  readonly bindingAlignment: number
}

export type PlanBuffer = { readonly id: BufferId; readonly label: string; readonly bytes: number } & (
  | { readonly role: 'weight'; readonly key: string; readonly expr: WeightExpr; readonly dtype: DType }
  | { readonly role: 'state'; readonly state: StateId }
  /** Scratch that many values take in turn; `slot` numbers the buffers so that plans can share them. */
  | { readonly role: 'arena'; readonly slot: number }
  /** Written by the host before each step. */
  | { readonly role: 'step' }
)

/** A tensor as it lies in a buffer. */
export interface TensorLocation {
  readonly buffer: BufferId
  readonly dtype: DType
  readonly shape: readonly Dim[]
  /** Elements between rows, and before the first row. */
  readonly rowStride: number
  readonly offset: number
}

export interface BoundBuffer {
  readonly buffer: BufferId
  /** Bytes. */
  readonly offset: number
  readonly bytes: number
  readonly access: BindingAccess
}

/** One kernel launch. Library calls and collectives will be further kinds. */
export interface Dispatch {
  readonly kind: 'kernel'
  readonly origin: string
  readonly op: string
  /** Of the op among the graph's. */
  readonly opIndex: number
  readonly variant: string
  readonly shader: AssembledShader
  /** Group 0, in order. */
  readonly bindings: readonly BoundBuffer[]
  readonly workgroupSize: readonly [number, number, number]
  readonly grid: readonly [Dim, Dim, Dim]
}

/** One input in the step buffer. */
export interface StepField {
  readonly name: string
  readonly value: ValueId
  readonly dtype: DType
  readonly shape: readonly Dim[]
  /** 32-bit words from the start of the step buffer. */
  readonly offset: number
  readonly capacity: number
}

export interface StepLayout {
  readonly fields: readonly StepField[]
  readonly words: number
}

export interface Plan {
  readonly graph: Graph
  /** Largest step that this plan runs. */
  readonly maxima: DimEnv
  readonly buffers: readonly PlanBuffer[]
  readonly dispatches: readonly Dispatch[]
  readonly step: StepLayout
  readonly outputs: Readonly<Record<string, TensorLocation>>
}

/** The state's buffer size: elements, rounded up to whole words. */
export function tensorBytes(numElements: number, dtype: DType): number {
  return Math.ceil((numElements * (dtype === 'f16' ? 2 : 4)) / 4) * 4
}
