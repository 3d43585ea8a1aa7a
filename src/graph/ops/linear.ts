// linear: y = act(x · wᵀ + bias) + residual, and rmsNorm, the two ops that reduce over the hidden axis.

import { invariant } from '../../core/errors.ts'
import {
  expectDType,
  expectRank,
  expectShape,
  fixedDim,
  floatDTypes,
  refTensor,
  type FloatDType,
  type OpDef,
} from '../opDef.ts'
import { siluValue } from './elementwise.ts'

export type Activation = 'none' | 'silu'

const activations: Record<Activation, (x: number) => number> = { none: (x) => x, silu: siluValue }

export interface LinearAttrs {
  readonly dtype: FloatDType
  readonly activation: Activation
  /** The first half of w's rows gates the second: y = act(x · wₐᵀ) · (x · w_bᵀ), with N half of w's rows. */
  readonly gated?: boolean
}

/**
 * x [T, K], w [N, K] (PyTorch orientation), bias [N], residual [T, N] → y [T, N].
 * Accumulates in f32; the epilogue order is bias, activation, gate or residual.
 */
export const linear: OpDef<LinearAttrs> = {
  inputs: ['x', 'w', 'bias?', 'residual?'],
  outputs: ['y'],
  accuracy: 'reduced',
  infer({ dtype, gated }, { x, w, bias, residual }, where) {
    expectRank(where, 'w', w!.shape, 2)
    expectShape(where, 'x', x!.shape, [x!.shape[0]!, w!.shape[1]!])
    const rows = fixedDim(where, w!.shape[0])
    invariant(gated !== true || rows % 2 === 0, `${where}: a gate for every column`)
    const shape = [x!.shape[0]!, gated === true ? rows / 2 : rows]
    for (const [name, operand] of Object.entries({ x, w, bias, residual })) {
      if (operand !== undefined) expectDType(where, name, operand.dtype, floatDTypes)
    }
    if (bias !== undefined) expectShape(where, 'bias', bias.shape, [w!.shape[0]!])
    if (residual !== undefined) expectShape(where, 'residual', residual.shape, shape)
    return { y: { dtype, shape } }
  },
  reference({ activation, gated }, { x, w, bias, residual }) {
    const [rows, inner] = [x!.shape[0]!, x!.shape[1]!]
    const columns = w!.shape[0]! / (gated === true ? 2 : 1)
    const y = refTensor([rows, columns])
    const activate = activations[activation]
    const project = (row: number, column: number): number => {
      let sum = bias?.data[column] ?? 0
      for (let k = 0; k < inner; k++) sum += x!.data[row * inner + k]! * w!.data[column * inner + k]!
      return sum
    }
    for (let row = 0; row < rows; row++) {
      for (let column = 0; column < columns; column++) {
        const index = row * columns + column
        const gate = gated === true ? project(row, columns + column) : 1
        y.data[index] = activate(project(row, column)) * gate + (residual?.data[index] ?? 0)
      }
    }
    return { y }
  },
}

/** x [T, H], weight [H] → x / sqrt(mean(x²) + eps) · weight, statistics in f32. */
export const rmsNorm: OpDef<{ readonly dtype: FloatDType; readonly eps: number }> = {
  inputs: ['x', 'weight'],
  outputs: ['y'],
  accuracy: 'transcendental',
  infer({ dtype }, { x, weight }, where) {
    expectRank(where, 'x', x!.shape, 2)
    expectDType(where, 'x', x!.dtype, floatDTypes)
    expectDType(where, 'weight', weight!.dtype, floatDTypes)
    expectShape(where, 'weight', weight!.shape, [x!.shape[1]!])
    return { y: { dtype, shape: x!.shape } }
  },
  reference({ eps }, { x, weight }) {
    const [rows, width] = [x!.shape[0]!, x!.shape[1]!]
    const y = refTensor([rows, width])
    for (let row = 0; row < rows; row++) {
      const values = x!.data.subarray(row * width, (row + 1) * width)
      const meanSquare = values.reduce((sum, value) => sum + value * value, 0) / width
      const inverse = 1 / Math.sqrt(meanSquare + eps)
      values.forEach((value, i) => (y.data[row * width + i] = value * inverse * weight!.data[i]!))
    }
    return { y }
  },
}
