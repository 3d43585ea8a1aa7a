// What the variants of `linear` share: bindings, constants, and what of a problem they ask for. Not here: the variants.

import { invariant } from '../core/errors.ts'
import { evalDim } from '../graph/dim.ts'
import { packWidth, present, read, rowsOf, tensorOf, widthOf, write, type PackWidth } from './shapes.ts'
import type { KernelBinding, KernelConstants, KernelProblem } from './spec.ts'

/** Invocations of a workgroup, unless a variant says otherwise. */
export const invocations = 64

/** Rows that a matrix-vector kernel takes in one pass over the weights. */
export const maxGemvRows = 8

export function epilogueBindings(problem: KernelProblem, width: PackWidth): KernelBinding[] {
  return [...present(problem, ['bias', 'residual']).map((name) => read(name, width)), write('y', width)]
}

export function constantsOf(
  problem: KernelProblem,
  u32: Record<string, number>,
  flags: Record<string, boolean> = {},
): KernelConstants {
  invariant(problem.op.kind === 'linear', 'linear kernel')
  const { activation, gated } = problem.op.attrs
  return {
    u32: { INNER: widthOf(tensorOf(problem, 'x')), COLUMNS: widthOf(tensorOf(problem, 'y')), ...u32 },
    flags: {
      HAS_BIAS: problem.tensors['bias'] !== undefined,
      HAS_RESIDUAL: problem.tensors['residual'] !== undefined,
      SILU: activation === 'silu',
      GATED: gated === true,
      ...flags,
    },
  }
}

export function isGated({ op }: KernelProblem): boolean {
  return op.kind === 'linear' && op.attrs.gated === true
}

/** Rows of y in the largest step. */
export function maxRows(problem: KernelProblem): number {
  return evalDim(rowsOf(tensorOf(problem, 'y')), problem.maxima)
}

/** Whether rows of every operand can be moved four elements at a time. */
export function isPackable(problem: KernelProblem): boolean {
  return packWidth(problem, ['x', 'w', 'y', ...present(problem, ['bias', 'residual'])]) === 4
}

/** Weights of a load: 16 bytes, where rows can be cut so. */
export function loadWidth(problem: KernelProblem): 4 | 8 {
  const { dtype, rowStride, offset } = tensorOf(problem, 'w')
  const isWide = [widthOf(tensorOf(problem, 'x')), rowStride, offset].every((value) => value % 8 === 0)
  return dtype === 'f16' && isWide ? 8 : 4
}
