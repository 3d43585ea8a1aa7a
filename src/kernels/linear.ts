// Kernels of `linear`, from the plainest to the fastest.

import gemvShader from '../../shaders/linear_gemv.wgsl?raw'
import matrixShader from '../../shaders/linear_matrix.wgsl?raw'
import naiveShader from '../../shaders/linear_naive.wgsl?raw'
import subgroupTileShader from '../../shaders/linear_subgroup_tile.wgsl?raw'
import tileShader from '../../shaders/linear_tile.wgsl?raw'
import tiledShader from '../../shaders/linear_tiled.wgsl?raw'
import { invariant } from '../core/errors.ts'
import { ceilDiv, evalDim } from '../graph/dim.ts'
import {
  hasSmallSubgroups,
  packWidth,
  present,
  read,
  rowsOf,
  tensorOf,
  widthOf,
  write,
  type PackWidth,
} from './shapes.ts'
import type {
  KernelBinding,
  KernelCapabilities,
  KernelConfig,
  KernelConstants,
  KernelProblem,
  KernelSpec,
  KernelVariant,
  MatrixShape,
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

function isGated({ op }: KernelProblem): boolean {
  return op.kind === 'linear' && op.attrs.gated === true
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

/**
 * Rows of a register tile: enough to reuse each weight, few enough to stay in registers. Where another kernel takes what
 * is large, compile time counts more.
 */
function maxTileRows(capabilities: KernelCapabilities): number {
  return hasSmallSubgroups(capabilities) ? 4 : 8
}

/** Weights of a load: 16 bytes, where rows can be cut so. */
function loadWidth(problem: KernelProblem): 4 | 8 {
  const { dtype, rowStride, offset } = tensorOf(problem, 'w')
  const isWide = [widthOf(tensorOf(problem, 'x')), rowStride, offset].every((value) => value % 8 === 0)
  return dtype === 'f16' && isWide ? 8 : 4
}

interface TileForm {
  /** Columns of an invocation. */
  readonly columns: 2 | 4
  readonly load: 4 | 8
  readonly tileRows: number
  readonly workgroup: number
}

function configureTile(
  problem: KernelProblem,
  { columns, load, tileRows, workgroup }: TileForm,
): KernelConfig {
  const y = tensorOf(problem, 'y')
  return {
    bindings: [read('x', 4), read('w', load), ...epilogueBindings(problem, columns)],
    constants: constantsOf(problem, { ROWS: tileRows, LOAD: load }, { WIDE: load === 8 }),
    packWidth: columns,
    workgroupSize: [workgroup, 1, 1],
    grid: [Math.ceil(widthOf(y) / columns / workgroup), ceilDiv(rowsOf(y), tileRows), 1],
  }
}

const tile: KernelVariant = {
  name: 'linear_tile',
  summary: 'a register tile of up to 8 × 4 results an invocation, vec4 loads, no barrier',
  shader: tileShader,
  supports: isPackable,
  configure: (problem, capabilities) =>
    configureTile(problem, {
      columns: 4,
      load: 4,
      tileRows: Math.min(maxTileRows(capabilities), maxRows(problem)),
      workgroup: invocations,
    }),
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

/** Rows that a matrix-vector kernel takes in one pass over the weights. */
const maxGemvRows = 8

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
      isPackable(problem) && maxRows(problem) <= maxGemvRows && supports(capabilities),
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

const narrowTile: KernelVariant = {
  name: 'linear_narrow_tile',
  summary:
    'as linear_tile, 16-byte loads, workgroups of one subgroup so that all cores get some; for decode on CPUs',
  shader: tileShader,
  supports: (problem, capabilities) =>
    isPackable(problem) &&
    capabilities.adapterClass === 'software' &&
    hasSmallSubgroups(capabilities) &&
    maxRows(problem) <= maxGemvRows,
  configure: (problem, { subgroupSize = invocations }) =>
    configureTile(problem, {
      // More than four columns of weights at once do not stay in registers.
      columns: isGated(problem) ? 2 : 4,
      load: loadWidth(problem),
      tileRows: maxRows(problem),
      workgroup: subgroupSize,
    }),
}

/** Weights worth the compile time of the subgroup tile, which is a second on a software adapter. */
const minSubgroupTileWeights = 2 ** 16

const subgroupTile: KernelVariant = {
  name: 'linear_subgroup_tile',
  summary:
    'a tile of 16 rows a subgroup, rows of x shared by shuffle: few loads, no barrier; for prefill on CPUs',
  shader: subgroupTileShader,
  supports: (problem, capabilities) =>
    isPackable(problem) &&
    capabilities.adapterClass === 'software' &&
    hasSmallSubgroups(capabilities) &&
    maxRows(problem) > maxGemvRows &&
    widthOf(tensorOf(problem, 'x')) * widthOf(tensorOf(problem, 'y')) >= minSubgroupTileWeights,
  configure(problem, { subgroupSize = 8 }) {
    const y = tensorOf(problem, 'y')
    const tileRows = Math.max(16, subgroupSize)
    return {
      bindings: [read('x', 4), read('w', 4), ...epilogueBindings(problem, 2)],
      constants: constantsOf(problem, { ROWS: tileRows }),
      packWidth: 2,
      enables: ['subgroups'],
      workgroupSize: [subgroupSize, 1, 1],
      grid: [Math.ceil(widthOf(y) / 2 / subgroupSize), ceilDiv(rowsOf(y), tileRows), 1],
    }
  },
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
