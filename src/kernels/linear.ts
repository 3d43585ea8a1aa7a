// Kernels of `linear`, from the plainest to the fastest.

import naiveShader from '../../shaders/linear_naive.wgsl?raw'
import tileShader from '../../shaders/linear_tile.wgsl?raw'
import { invariant } from '../core/errors.ts'
import { ceilDiv, evalDim } from '../graph/dim.ts'
import { packWidth, present, read, rowsOf, tensorOf, widthOf, write, type PackWidth } from './shapes.ts'
import type { KernelBinding, KernelConstants, KernelProblem, KernelSpec, KernelVariant } from './spec.ts'

const invocations = 64

function epilogueBindings(problem: KernelProblem, width: PackWidth): KernelBinding[] {
  return [...present(problem, ['bias', 'residual']).map((name) => read(name, width)), write('y', width)]
}

function constantsOf(
  problem: KernelProblem,
  u32: Record<string, number>,
  isScalar: boolean,
): KernelConstants {
  invariant(problem.op.kind === 'linear', 'linear kernel')
  return {
    u32: { INNER: widthOf(tensorOf(problem, 'x')), COLUMNS: widthOf(tensorOf(problem, 'y')), ...u32 },
    flags: {
      HAS_BIAS: problem.tensors['bias'] !== undefined,
      HAS_RESIDUAL: problem.tensors['residual'] !== undefined,
      SILU: problem.op.attrs.activation === 'silu',
      SCALAR: isScalar,
    },
  }
}

const naive: KernelVariant = {
  name: 'linear_naive',
  summary: 'one Pack of results an invocation, one product at a time',
  shader: naiveShader,
  supports: () => true,
  configure(problem) {
    const y = tensorOf(problem, 'y')
    const width = y.dtype === 'f16' ? 2 : 1
    return {
      bindings: [read('x'), read('w'), ...epilogueBindings(problem, width)],
      constants: constantsOf(problem, {}, width === 1),
      packWidth: width,
      workgroupSize: [invocations, 1, 1],
      grid: [Math.ceil(widthOf(y) / width / invocations), rowsOf(y), 1],
    }
  },
}

/** Rows of a register tile: enough to reuse each weight, few enough to stay in registers. */
const maxTileRows = 4

const tile: KernelVariant = {
  name: 'linear_tile',
  summary: 'a register tile of up to 4 × 4 results an invocation, vec4 loads, no barrier',
  shader: tileShader,
  supports: (problem) => packWidth(problem, ['x', 'w', 'y', ...present(problem, ['bias', 'residual'])]) === 4,
  configure(problem) {
    const y = tensorOf(problem, 'y')
    const tileRows = Math.min(maxTileRows, evalDim(rowsOf(y), problem.maxima))
    return {
      bindings: [read('x', 4), read('w', 4), ...epilogueBindings(problem, 4)],
      constants: constantsOf(problem, { ROWS: tileRows }, false),
      packWidth: 4,
      workgroupSize: [invocations, 1, 1],
      grid: [Math.ceil(widthOf(y) / 4 / invocations), ceilDiv(rowsOf(y), tileRows), 1],
    }
  },
}

export const linearSpec: KernelSpec = { op: 'linear', variants: [naive, tile] }
