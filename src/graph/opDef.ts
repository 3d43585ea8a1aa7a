// What every op kind declares in one place: operands, shape and dtype rule, f64 reference and accuracy class.
// Not here: kernels. The definitions themselves are in ops/.

import type { DType } from '../core/dtype.ts'
import { RuntimeFault } from '../core/errors.ts'
import { elementsOf } from '../core/shape.ts'
import { printShape, sameShape, type Dim } from './dim.ts'

/** Type of an operand as shape rules see it. */
export interface ValueType {
  readonly dtype: DType
  readonly shape: readonly Dim[]
}

/** A concrete tensor of the reference: row-major f64, integers included. */
export interface RefTensor {
  readonly shape: readonly number[]
  readonly data: Float64Array
}

/**
 * How far a kernel may be from the f64 reference.
 * `exact`: bit-equal. `rounded`: a few roundings an element. `reduced`: a sum over `length` products, compared with
 * the magnitude of the whole row. `transcendental`: as reduced, with the looser built-ins of WGSL inside.
 */
export type AccuracyClass = 'exact' | 'rounded' | 'reduced' | 'transcendental'

/** Attributes of an op that has none. */
export type NoAttrs = Readonly<Record<string, never>>

export interface OpDef<A> {
  /**
   * Operand names in binding order; a trailing `?` marks an optional one, a trailing `*` one that may be repeated:
   * `x*` stands for x0, x1 and so on, at least one.
   */
  readonly inputs: readonly string[]
  readonly outputs: readonly string[]
  /** Outputs that are the next version of an input's state: output name → input name. */
  readonly nextVersionOf?: Readonly<Record<string, string>>
  /** Output is a view of the input's memory: no dispatch, no buffer. */
  readonly view?: boolean
  readonly accuracy: AccuracyClass
  /** Types of the outputs; throws graph/shape or graph/dtype faults that name `where`. */
  infer(
    attrs: A,
    inputs: Readonly<Record<string, ValueType>>,
    where: string,
  ): Readonly<Record<string, ValueType>>
  /**
   * The f64 oracle. Outputs are freshly allocated, except states: those arrive in `inputs` and are updated in place
   * (and returned under their output names).
   */
  reference(attrs: A, inputs: Readonly<Record<string, RefTensor>>): Readonly<Record<string, RefTensor>>
}

/** Relative L2 error allowed for a result of `dtype` that sums `length` terms. */
export function tolerance(accuracy: AccuracyClass, dtype: DType, length: number): number {
  const storeEps = dtype === 'f16' ? 2 ** -11 : 2 ** -24
  const sumEps = 2 ** -24 * Math.sqrt(length)
  switch (accuracy) {
    case 'exact':
      return 0
    case 'rounded':
      return 4 * storeEps
    case 'reduced':
      return 2 * storeEps + 4 * sumEps
    case 'transcendental':
      return 2 * storeEps + 16 * sumEps + 2 ** -20
    default:
      return accuracy satisfies never
  }
}

/** Throws unless `actual` has the given shape. */
export function expectShape(
  where: string,
  operand: string,
  actual: readonly Dim[],
  expected: readonly Dim[],
): void {
  if (sameShape(actual, expected)) return
  throw new RuntimeFault('graph/shape', {
    where: `${where} operand ${operand}`,
    expected: printShape(expected),
    got: printShape(actual),
    fix: 'Check the configuration against the checkpoint.',
  })
}

export function expectRank(where: string, operand: string, actual: readonly Dim[], rank: number): void {
  if (actual.length === rank) return
  throw new RuntimeFault('graph/shape', {
    where: `${where} operand ${operand}`,
    expected: `${rank} dimensions`,
    got: printShape(actual),
    fix: 'Check the graph builder of this model.',
  })
}

export function expectDType(where: string, operand: string, actual: DType, allowed: readonly DType[]): void {
  if (allowed.includes(actual)) return
  throw new RuntimeFault('graph/dtype', {
    where: `${where} operand ${operand}`,
    expected: allowed.join(' or '),
    got: actual,
    fix: 'Insert a conversion or build the graph with another dtype.',
  })
}

/** A dimension that must be known when the graph is built. */
export function fixedDim(where: string, dim: Dim | undefined): number {
  if (typeof dim === 'number') return dim
  throw new RuntimeFault('graph/shape', {
    where,
    expected: 'a fixed dimension',
    got: dim === undefined ? 'none' : printShape([dim]),
    fix: 'Only token, sequence and row counts may vary from step to step.',
  })
}

/** A zero-filled tensor of the reference. */
export function refTensor(shape: readonly number[]): RefTensor {
  return { shape, data: new Float64Array(elementsOf(shape)) }
}

/** Types that weights and activations can have on a device. */
export type FloatDType = 'f32' | 'f16'
export const floatDTypes: readonly DType[] = ['f32', 'f16']
