// Variants of `linear` whose invocations keep a tile of results in registers and share nothing through workgroup memory:
// what CPU adapters compute with.

import rowsShader from '../../shaders/linear_rows.wgsl?raw'
import subgroupTileShader from '../../shaders/linear_subgroup_tile.wgsl?raw'
import tileShader from '../../shaders/linear_tile.wgsl?raw'
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
import { hasSmallSubgroups, read, rowsOf, tensorOf, widthOf } from './shapes.ts'
import type { KernelCapabilities, KernelConfig, KernelProblem, KernelVariant } from './spec.ts'

/**
 * Whether a CPU adapter's compiler turns short loops over arrays into registers: LLVM on 256-bit vectors (lavapipe) does.
 * Those with narrower ones (SwiftShader) also take longer for a shuffle than for a load.
 */
export function unrollsLoops(capabilities: KernelCapabilities): boolean {
  return hasSmallSubgroups(capabilities) && (capabilities.subgroupSize ?? 0) >= 8
}

/**
 * Rows of a register tile: enough to reuse each weight, few enough to stay in registers. Where another kernel takes what
 * is large, compile time counts more.
 */
function maxTileRows(capabilities: KernelCapabilities): number {
  return unrollsLoops(capabilities) ? 4 : 8
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

export const tile: KernelVariant = {
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

export const narrowTile: KernelVariant = {
  name: 'linear_narrow_tile',
  summary:
    'as linear_tile, 16-byte loads, workgroups of one subgroup so that all cores get some; for decode on CPUs',
  shader: tileShader,
  supports: (problem, capabilities) =>
    isPackable(problem) &&
    capabilities.adapterClass === 'software' &&
    unrollsLoops(capabilities) &&
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

export const spelledRows: KernelVariant = {
  name: 'linear_rows',
  summary: 'as linear_tile, four rows and columns without a loop or an array; for compilers that keep those',
  shader: rowsShader,
  supports: (problem, capabilities) =>
    isPackable(problem) && capabilities.adapterClass === 'software' && !unrollsLoops(capabilities),
  configure(problem) {
    const y = tensorOf(problem, 'y')
    const tileRows = maxRows(problem) === 1 ? 1 : 4
    return {
      bindings: [read('x', 4), read('w', 4), ...epilogueBindings(problem, 4)],
      constants: constantsOf(problem, { ROWS: tileRows }, { MANY: tileRows > 1 }),
      packWidth: 4,
      workgroupSize: [invocations, 1, 1],
      grid: [Math.ceil(widthOf(y) / 4 / invocations), ceilDiv(rowsOf(y), tileRows), 1],
    }
  },
}

/** Weights worth the compile time of the subgroup tile, which is a second on a software adapter. */
const minSubgroupTileWeights = 2 ** 16

export const subgroupTile: KernelVariant = {
  name: 'linear_subgroup_tile',
  summary:
    'a tile of 16 rows a subgroup, rows of x shared by shuffle: few loads, no barrier; for prefill on CPUs',
  shader: subgroupTileShader,
  supports: (problem, capabilities) =>
    isPackable(problem) &&
    capabilities.adapterClass === 'software' &&
    unrollsLoops(capabilities) &&
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
