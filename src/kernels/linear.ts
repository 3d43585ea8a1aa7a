// Kernels of `linear`, from the plainest to the fastest.

import gemvShader from '../../shaders/linear_gemv.wgsl?raw'
import naiveShader from '../../shaders/linear_naive.wgsl?raw'
import tileShader from '../../shaders/linear_tile.wgsl?raw'
import tiledShader from '../../shaders/linear_tiled.wgsl?raw'
import { invariant } from '../core/errors.ts'
import { ceilDiv, evalDim } from '../graph/dim.ts'
import { packWidth, present, read, rowsOf, tensorOf, widthOf, write, type PackWidth } from './shapes.ts'
import type {
  KernelBinding,
  KernelCapabilities,
  KernelConstants,
  KernelProblem,
  KernelSpec,
  KernelVariant,
} from './spec.ts'

const invocations = 64

function epilogueBindings(problem: KernelProblem, width: PackWidth): KernelBinding[] {
  return [...present(problem, ['bias', 'residual']).map((name) => read(name, width)), write('y', width)]
}

function constantsOf(
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

/** Rows of y in the largest step. */
function maxRows(problem: KernelProblem): number {
  return evalDim(rowsOf(tensorOf(problem, 'y')), problem.maxima)
}

/** Whether rows of every operand can be moved four elements at a time. */
function isPackable(problem: KernelProblem): boolean {
  return packWidth(problem, ['x', 'w', 'y', ...present(problem, ['bias', 'residual'])]) === 4
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
      constants: constantsOf(problem, {}, { SCALAR: width === 1 }),
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
  supports: isPackable,
  configure(problem) {
    const y = tensorOf(problem, 'y')
    const tileRows = Math.min(maxTileRows, maxRows(problem))
    return {
      bindings: [read('x', 4), read('w', 4), ...epilogueBindings(problem, 4)],
      constants: constantsOf(problem, { ROWS: tileRows }),
      packWidth: 4,
      workgroupSize: [invocations, 1, 1],
      grid: [Math.ceil(widthOf(y) / 4 / invocations), ceilDiv(rowsOf(y), tileRows), 1],
    }
  },
}

/** Results in x and y that a workgroup of linear_tiled takes. */
const tiledEdge = 64

const tiled: KernelVariant = {
  name: 'linear_tiled',
  summary: '64 × 64 results a workgroup, operands staged through workgroup memory; for prefill on GPUs',
  shader: tiledShader,
  supports: (problem, { adapterClass, maxInvocationsPerWorkgroup }) =>
    isPackable(problem) &&
    adapterClass === 'gpu' &&
    maxInvocationsPerWorkgroup >= 256 &&
    maxRows(problem) > maxGemvRows,
  configure(problem) {
    const y = tensorOf(problem, 'y')
    return {
      bindings: [read('x', 4), read('w', 4), ...epilogueBindings(problem, 4)],
      constants: constantsOf(problem, {}),
      packWidth: 4,
      workgroupSize: [16, 16, 1],
      grid: [Math.ceil(widthOf(y) / tiledEdge), ceilDiv(rowsOf(y), tiledEdge), 1],
    }
  },
}

/** Rows that a matrix-vector kernel takes in one pass over the weights. */
const maxGemvRows = 8

function gemv(
  name: string,
  summary: string,
  useSubgroups: boolean,
  supports: (capabilities: KernelCapabilities) => boolean,
): KernelVariant {
  return {
    name,
    summary,
    shader: gemvShader,
    supports: (problem, capabilities) =>
      isPackable(problem) &&
      capabilities.adapterClass === 'gpu' &&
      maxRows(problem) <= maxGemvRows &&
      supports(capabilities),
    configure(problem) {
      const y = tensorOf(problem, 'y')
      return {
        bindings: [read('x', 4), read('w', 4), ...epilogueBindings(problem, 4)],
        constants: constantsOf(
          problem,
          { ROWS: Math.min(maxGemvRows, maxRows(problem)) },
          { SUBGROUPS: useSubgroups },
        ),
        packWidth: 4,
        ...(useSubgroups ? { enables: ['subgroups'] as const } : {}),
        workgroupSize: [invocations, 1, 1],
        grid: [widthOf(y) / 4, ceilDiv(rowsOf(y), maxGemvRows), 1],
      }
    },
  }
}

export const linearSpec: KernelSpec = {
  op: 'linear',
  variants: [
    naive,
    tile,
    tiled,
    gemv(
      'linear_gemv',
      'a workgroup shares the inner axis of 4 columns, for up to 8 rows; for decode on GPUs',
      false,
      () => true,
    ),
    gemv(
      'linear_gemv_subgroups',
      'as linear_gemv, sums meet in registers first',
      true,
      ({ subgroups }) => subgroups,
    ),
  ],
}
