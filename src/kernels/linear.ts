// Kernels of `linear`, from the plainest to the fastest. Not here: what they share (linearForm.ts), and the variants
// without workgroup memory (linearTile.ts).

import gemvShader from '../../shaders/linear_gemv.wgsl?raw'
import matrixShader from '../../shaders/linear_matrix.wgsl?raw'
import naiveShader from '../../shaders/linear_naive.wgsl?raw'
import tiledShader from '../../shaders/linear_tiled.wgsl?raw'
import { invariant } from '../core/errors.ts'
import { ceilDiv } from '../graph/dim.ts'
import {
  constantsOf,
  epilogueBindings,
  invocations,
  isGated,
  isPackable,
  loadWidth,
  maxGemvRows,
  maxRows,
} from './linearForm.ts'
import { narrowTile, subgroupTile, tile } from './linearTile.ts'
import { read, rowsOf, tensorOf, widthOf } from './shapes.ts'
import type { KernelCapabilities, KernelSpec, KernelVariant, MatrixShape } from './spec.ts'

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

/** Results in each direction that a subgroup of linear_matrix takes; matrices must divide it. */
const matrixShare = 32

/** Workgroup memory of linear_matrix: operands in f16 lines of 40, results in f32. */
function matrixBytes(isGated: boolean, { M, N }: MatrixShape): number {
  return (isGated ? 3 : 2) * tiledEdge * 40 * 2 + (isGated ? 2 : 1) * 4 * M * N * 4
}

const matrix: KernelVariant = {
  name: 'linear_matrix',
  summary: 'as linear_tiled with f16 operands, multiplied by subgroup matrices; for prefill on tensor cores',
  shader: matrixShader,
  supports(problem, { subgroupMatrix, subgroupSize, nativeF16, ...limits }) {
    if (subgroupMatrix === undefined || subgroupSize === undefined) return false
    const { M, N, K } = subgroupMatrix
    const isHalf = ['x', 'w'].every((name) => tensorOf(problem, name).dtype === 'f16')
    return (
      isPackable(problem) &&
      nativeF16 &&
      isHalf &&
      limits.adapterClass === 'gpu' &&
      maxRows(problem) > maxGemvRows &&
      [M, N, K].every((size) => matrixShare % size === 0) &&
      // Lines of a matrix start at multiples of 16 bytes.
      K % 8 === 0 &&
      limits.maxInvocationsPerWorkgroup >= 4 * subgroupSize &&
      limits.maxWorkgroupBytes >= matrixBytes(isGated(problem), subgroupMatrix)
    )
  },
  configure(problem, { subgroupMatrix, subgroupSize }) {
    invariant(subgroupMatrix !== undefined && subgroupSize !== undefined, 'subgroup matrices')
    const { M, N, K } = subgroupMatrix
    const y = tensorOf(problem, 'y')
    return {
      bindings: [read('x', 4), read('w', 4), ...epilogueBindings(problem, 4)],
      constants: constantsOf(problem, { MAT_M: M, MAT_N: N, MAT_K: K, SUBGROUP: subgroupSize }),
      packWidth: 4,
      enables: ['subgroups', 'chromium_experimental_subgroup_matrix'],
      workgroupSize: [4 * subgroupSize, 1, 1],
      grid: [Math.ceil(widthOf(y) / tiledEdge), ceilDiv(rowsOf(y), tiledEdge), 1],
    }
  },
}

/** Columns of a matrix-vector kernel's workgroup. */
const gemvColumns = 4

interface GemvForm {
  readonly name: string
  readonly summary: string
  /** How sums meet: in workgroup memory, or first in registers. */
  readonly sums: 'memory' | 'subgroups'
  readonly supports: (capabilities: KernelCapabilities) => boolean
}

function gemv({ name, summary, sums, supports }: GemvForm): KernelVariant {
  return {
    name,
    summary,
    shader: gemvShader,
    supports: (problem, capabilities) =>
      isPackable(problem) &&
      maxRows(problem) <= maxGemvRows &&
      // A workgroup has few columns: the widest vocabularies have more of them than a grid may.
      widthOf(tensorOf(problem, 'y')) / gemvColumns <= capabilities.maxWorkgroupsPerDimension &&
      supports(capabilities),
    configure(problem) {
      const y = tensorOf(problem, 'y')
      const load = loadWidth(problem)
      return {
        bindings: [read('x', 4), read('w', load), ...epilogueBindings(problem, 4)],
        constants: constantsOf(
          problem,
          { ROWS: Math.min(maxGemvRows, maxRows(problem)), LOAD: load },
          { SUBGROUPS: sums === 'subgroups', WIDE: load === 8 },
        ),
        packWidth: 4,
        ...(sums === 'memory' ? {} : { enables: ['subgroups'] as const }),
        workgroupSize: [invocations, 1, 1],
        grid: [widthOf(y) / gemvColumns, ceilDiv(rowsOf(y), maxGemvRows), 1],
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
    matrix,
    gemv({
      name: 'linear_gemv',
      summary: 'a workgroup shares the inner axis of 4 columns, for up to 8 rows; for decode on GPUs',
      sums: 'memory',
      supports: ({ adapterClass }) => adapterClass === 'gpu',
    }),
    gemv({
      name: 'linear_gemv_subgroups',
      summary: 'as linear_gemv, sums meet in registers first',
      sums: 'subgroups',
      supports: ({ adapterClass, subgroups }) => adapterClass === 'gpu' && subgroups,
    }),
    narrowTile,
    subgroupTile,
  ],
}
