// What a kernel is: data that says which shader serves an op, how its tensors are bound, and how many workgroups it
// takes. Not here: devices, pipelines, buffers.

import type { DType } from '../core/dtype.ts'
import type { Dim, DimEnv } from '../graph/dim.ts'
import type { Op } from '../graph/graph.ts'
import type { OpKind } from '../graph/ops/index.ts'

/** How a kernel sees a tensor: rows of `shape.at(-1)` elements, `rowStride` apart, starting at `offset` (elements). */
export interface TensorView {
  readonly dtype: DType
  readonly shape: readonly Dim[]
  readonly rowStride: number
  readonly offset: number
}

/** An op with everything that a kernel choice may depend on. */
export interface KernelProblem {
  readonly op: Op
  /** Inputs and outputs by operand name. */
  readonly tensors: Readonly<Record<string, TensorView>>
  /** Maxima of the symbols in the plan at hand. */
  readonly maxima: DimEnv
}

/** What kernels may use: a summary of adapter features and limits. */
export interface KernelCapabilities {
  readonly subgroups: boolean
  /** Invocations in a subgroup, where all subgroups of the adapter have as many. */
  readonly subgroupSize?: number | undefined
  /** `shader-f16` is there: f16 tensors are bound as such instead of packed in u32. */
  readonly nativeF16: boolean
  /** Matrices that a subgroup multiplies as one (tensor cores): M × K by K × N in f16, sums in f32. */
  readonly subgroupMatrix?: MatrixShape | undefined
  readonly maxInvocationsPerWorkgroup: number
  readonly maxWorkgroupBytes: number
  readonly maxWorkgroupsPerDimension: number
  /** `software` adapters run on CPU cores, where barriers and workgroup memory cost more than they save. */
  readonly adapterClass: 'gpu' | 'software'
}

export interface MatrixShape {
  readonly M: number
  readonly N: number
  readonly K: number
}

export type BindingAccess = 'read' | 'read_write'

/** One tensor of group 0; its number is its place in the list. */
export interface KernelBinding {
  readonly tensor: string
  /** Its name in the shader, where that differs. */
  readonly as?: string
  readonly access: BindingAccess
  /** Elements that one load or store moves; 8 is for loads, which then give a mat2x4<f32>. */
  readonly width: 1 | 2 | 4 | 8
}

/** Numbers that differ between kernels of one shader; each becomes a WGSL `const`. */
export interface KernelConstants {
  readonly u32?: Readonly<Record<string, number>>
  readonly f32?: Readonly<Record<string, number>>
  /** Conditions of `#if`. */
  readonly flags?: Readonly<Record<string, boolean>>
}

export interface KernelConfig {
  readonly bindings: readonly KernelBinding[]
  readonly constants: KernelConstants
  /** Width of the `Pack` alias that the shader computes in. */
  readonly packWidth: 1 | 2 | 4
  /** WGSL extensions that the shader enables. */
  readonly enables?: readonly ('subgroups' | 'chromium_experimental_subgroup_matrix')[]
  readonly workgroupSize: readonly [number, number, number]
  /** Workgroups in x, y, z. */
  readonly grid: readonly [Dim, Dim, Dim]
}

/** A second dispatch that finishes what workgroups of the first left in scratch tensors. */
export interface KernelFinish {
  readonly name: string
  readonly shader: string
  readonly configure: (problem: KernelProblem, capabilities: KernelCapabilities) => KernelConfig
}

export interface KernelVariant {
  readonly name: string
  /** What it changes against the variant before it, in one line. */
  readonly summary: string
  /** WGSL with `#import` and `#if`; bindings and constants are generated. */
  readonly shader: string
  readonly supports: (problem: KernelProblem, capabilities: KernelCapabilities) => boolean
  readonly configure: (problem: KernelProblem, capabilities: KernelCapabilities) => KernelConfig
  /** Shapes of f32 scratch tensors, which both dispatches see among the problem's tensors. */
  readonly scratch?: (
    problem: KernelProblem,
    capabilities: KernelCapabilities,
  ) => Readonly<Record<string, readonly Dim[]>>
  readonly finish?: KernelFinish
}

/** All kernels of one op kind; the plainest comes first and supports everything. */
export interface KernelSpec {
  readonly op: OpKind
  readonly variants: readonly KernelVariant[]
}

/** Kernels for one target language. */
export interface KernelSet {
  readonly target: 'wgsl'
  readonly specs: Readonly<Partial<Record<OpKind, KernelSpec>>>
  readonly select: (problem: KernelProblem, capabilities: KernelCapabilities) => KernelVariant
}
