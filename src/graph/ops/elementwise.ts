// Elementwise ops (silu, add, mul, biasAdd, swiglu) and two views: slice takes some columns, concat joins them.

import { RuntimeFault } from '../../core/errors.ts'
import { printShape } from '../dim.ts'
import {
  expectDType,
  expectRank,
  expectShape,
  fixedDim,
  floatDTypes,
  refTensor,
  type FloatDType,
  type NoAttrs,
  type OpDef,
} from '../opDef.ts'

type Elementwise = OpDef<{ readonly dtype: FloatDType }>

function unary(fn: (x: number) => number): Elementwise {
  return {
    inputs: ['x'],
    outputs: ['y'],
    accuracy: 'transcendental',
    infer({ dtype }, { x }, where) {
      expectDType(where, 'x', x!.dtype, floatDTypes)
      return { y: { dtype, shape: x!.shape } }
    },
    reference(_attrs, { x }) {
      return { y: { shape: x!.shape, data: x!.data.map(fn) } }
    },
  }
}

function binary(fn: (a: number, b: number) => number, accuracy: 'rounded' | 'transcendental'): Elementwise {
  return {
    inputs: ['a', 'b'],
    outputs: ['y'],
    accuracy,
    infer({ dtype }, { a, b }, where) {
      expectDType(where, 'a', a!.dtype, floatDTypes)
      expectDType(where, 'b', b!.dtype, floatDTypes)
      expectShape(where, 'b', b!.shape, a!.shape)
      return { y: { dtype, shape: a!.shape } }
    },
    reference(_attrs, { a, b }) {
      return { y: { shape: a!.shape, data: a!.data.map((value, i) => fn(value, b!.data[i]!)) } }
    },
  }
}

/** x · sigmoid(x), in f64. */
export function siluValue(x: number): number {
  return x / (1 + Math.exp(-x))
}

/** silu(x) = x · sigmoid(x). */
export const silu: Elementwise = unary(siluValue)

/** a + b, equal shapes. */
export const add: Elementwise = binary((a, b) => a + b, 'rounded')

/** a · b, equal shapes. */
export const mul: Elementwise = binary((a, b) => a * b, 'rounded')

/** silu(gate) · up, the gated activation of Llama's MLP; operands named a (gate) and b (up). */
export const swiglu: Elementwise = binary((a, b) => siluValue(a) * b, 'transcendental')

/** x [T, N] + bias [N]. */
export const biasAdd: Elementwise = {
  inputs: ['x', 'bias'],
  outputs: ['y'],
  accuracy: 'rounded',
  infer({ dtype }, { x, bias }, where) {
    expectDType(where, 'x', x!.dtype, floatDTypes)
    expectDType(where, 'bias', bias!.dtype, floatDTypes)
    expectShape(where, 'bias', bias!.shape, [x!.shape[1]!])
    return { y: { dtype, shape: x!.shape } }
  },
  reference(_attrs, { x, bias }) {
    const width = x!.shape[1]!
    return { y: { shape: x!.shape, data: x!.data.map((value, i) => value + bias!.data[i % width]!) } }
  },
}

/** Columns [start, start + length) of x [T, N]: a view, no copy. */
export const slice: OpDef<{ readonly start: number; readonly length: number }> = {
  inputs: ['x'],
  outputs: ['y'],
  view: true,
  accuracy: 'exact',
  infer({ start, length }, { x }, where) {
    const width = fixedDim(where, x!.shape[1])
    if (start < 0 || length < 1 || start + length > width) {
      throw new RuntimeFault('graph/shape', {
        where,
        expected: `columns inside ${printShape(x!.shape)}`,
        got: `[${start}, ${start + length})`,
        fix: 'Check the pass or builder that made this slice.',
      })
    }
    return { y: { dtype: x!.dtype, shape: [x!.shape[0]!, length] } }
  },
  reference({ start, length }, { x }) {
    const [rows, width] = [x!.shape[0]!, x!.shape[1]!]
    const y = refTensor([rows, length])
    for (let row = 0; row < rows; row++) {
      y.data.set(x!.data.subarray(row * width + start, row * width + start + length), row * length)
    }
    return { y }
  },
}

/**
 * x0 [T, A], x1 [T, B], … side by side → y [T, A + B + …]: a view, no copy, since its parts are written where they
 * belong. So a part is the result of an op that dispatches, or of another concat, and a part of one concat only.
 */
export const concat: OpDef<NoAttrs> = {
  inputs: ['x*'],
  outputs: ['y'],
  view: true,
  accuracy: 'exact',
  infer(_attrs, inputs, where) {
    const { dtype, shape } = inputs['x0']!
    let width = 0
    for (const [name, part] of Object.entries(inputs)) {
      expectDType(where, name, part.dtype, [dtype])
      expectRank(where, name, part.shape, 2)
      const columns = fixedDim(where, part.shape[1])
      expectShape(where, name, part.shape, [shape[0]!, columns])
      width += columns
    }
    return { y: { dtype, shape: [shape[0]!, width] } }
  },
  reference(_attrs, inputs) {
    const parts = Object.values(inputs)
    const rows = parts[0]!.shape[0]!
    const width = parts.reduce((sum, { shape }) => sum + shape[1]!, 0)
    const y = refTensor([rows, width])
    let start = 0
    for (const { shape, data } of parts) {
      const columns = shape[1]!
      for (let row = 0; row < rows; row++)
        y.data.set(data.subarray(row * columns, (row + 1) * columns), row * width + start)
      start += columns
    }
    return { y }
  },
}
