// Small helpers that kernel families share: widths, packs, rows, bindings. Not here: any family's own rules.

import { invariant } from '../core/errors.ts'
import type { Dim } from '../graph/dim.ts'
import type { KernelBinding, KernelCapabilities, KernelProblem, TensorView } from './spec.ts'

export type PackWidth = 1 | 2 | 4

export function tensorOf(problem: KernelProblem, name: string): TensorView {
  const tensor = problem.tensors[name]
  invariant(tensor !== undefined, `${problem.op.kind} has operand ${name}`)
  return tensor
}

/** Elements in a row: the last dimension, which is always fixed. */
export function widthOf(tensor: TensorView): number {
  const width = tensor.shape.at(-1)
  invariant(typeof width === 'number', 'rows have a fixed width')
  return width
}

/** The first dimension. */
export function rowsOf(tensor: TensorView): Dim {
  return tensor.shape[0]!
}

/** The widest load that divides rows, strides and offsets of all the given tensors, and `units` besides. */
export function packWidth(
  problem: KernelProblem,
  names: readonly string[],
  ...units: readonly number[]
): PackWidth {
  const numbers = names.flatMap((name) => {
    const tensor = tensorOf(problem, name)
    return [widthOf(tensor), tensor.rowStride, tensor.offset]
  })
  const fits = (width: number): boolean => [...numbers, ...units].every((value) => value % width === 0)
  return fits(4) ? 4 : fits(2) ? 2 : 1
}

export function read(tensor: string, width: KernelBinding['width'] = 1, as?: string): KernelBinding {
  return { tensor, access: 'read', width, ...(as === undefined ? {} : { as }) }
}

export function write(tensor: string, width: PackWidth = 1, as?: string): KernelBinding {
  return { tensor, access: 'read_write', width, ...(as === undefined ? {} : { as }) }
}

/** Operands that the op was given, of the listed ones. */
export function present(problem: KernelProblem, names: readonly string[]): string[] {
  return names.filter((name) => problem.tensors[name] !== undefined)
}

/**
 * Whether a workgroup can be made of one subgroup, neither narrow nor wide: it needs no barrier, which costs CPU adapters
 * much. Those have vectors of 128 or 256 bits.
 */
export function hasSmallSubgroups({ subgroups, subgroupSize = 0 }: KernelCapabilities): boolean {
  return subgroups && subgroupSize >= 4 && subgroupSize <= 16
}
