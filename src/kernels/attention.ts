// Kernels of `attention` and of `rotaryKvWrite`, which feeds it.

import keysShader from '../../shaders/attention_keys.wgsl?raw'
import lanesShader from '../../shaders/attention_lanes.wgsl?raw'
import mergeShader from '../../shaders/attention_merge.wgsl?raw'
import naiveShader from '../../shaders/attention_naive.wgsl?raw'
import rowsShader from '../../shaders/attention_rows.wgsl?raw'
import rotaryKvWriteShader from '../../shaders/rotary_kv_write.wgsl?raw'
import { invariant } from '../core/errors.ts'
import { affine, ceilDiv } from '../graph/dim.ts'
import type { AttentionAttrs } from '../graph/ops/attention.ts'
import {
  hasSmallSubgroups,
  packWidth,
  read,
  rowsOf,
  tensorOf,
  widthOf,
  write,
  type PackWidth,
} from './shapes.ts'
import type { KernelBinding, KernelCapabilities, KernelProblem, KernelSpec, KernelVariant } from './spec.ts'

const invocations = 64

/** Query rows that share the loads of keys and values in one workgroup; compilers for CPUs choke on more than four. */
function maxRows({ adapterClass }: KernelCapabilities): number {
  return adapterClass === 'software' ? 4 : 8
}

function attrsOf(problem: KernelProblem): AttentionAttrs {
  invariant(problem.op.kind === 'attention', 'attention kernel')
  return problem.op.attrs
}

function widthFor(problem: KernelProblem): PackWidth {
  return packWidth(problem, ['q', 'kCache', 'vCache', 'y'], attrsOf(problem).headDim)
}

function inputs(width: PackWidth): KernelBinding[] {
  return [
    read('q', width),
    read('kCache', width),
    read('vCache', width),
    read('blockTables'),
    read('cuSeqlensQ'),
    read('contextLens'),
  ]
}

function shapeConstants({
  headDim,
  numHeads,
  numKvHeads,
  blockSize,
}: AttentionAttrs): Record<string, number> {
  return {
    HEAD_DIM: headDim,
    KV_HEADS: numKvHeads,
    HEADS_PER_KV: numHeads / numKvHeads,
    BLOCK_SIZE: blockSize,
  }
}

const naive: KernelVariant = {
  name: 'attention_naive',
  summary: 'one workgroup a (token, head), online softmax over tiles of 64 keys',
  shader: naiveShader,
  supports: () => true,
  configure(problem) {
    const attrs = attrsOf(problem)
    const width = widthFor(problem)
    return {
      bindings: [...inputs(width), write('y', width)],
      constants: {
        u32: shapeConstants(attrs),
        f32: { SCALE: attrs.scale },
        flags: { SCALAR: width === 1 },
      },
      packWidth: width,
      workgroupSize: [invocations, 1, 1],
      grid: [attrs.numHeads, rowsOf(tensorOf(problem, 'y')), 1],
    }
  },
}

/** Whether the plan is for decoding: as many sequences as tokens. */
function isDecode({ maxima }: KernelProblem): boolean {
  return maxima.T <= maxima.S
}

/** Query heads of one workgroup of `numRows` rows: the most that divide a KV head's group. */
function headsOf({ numHeads, numKvHeads }: AttentionAttrs, numRows: number): number {
  const group = numHeads / numKvHeads
  for (let heads = Math.min(numRows, group); heads > 1; heads--) if (group % heads === 0) return heads
  return 1
}

/** Consecutive tokens of one workgroup. In decode neighbours belong to different sequences and share nothing. */
function tokensOf(problem: KernelProblem, numRows: number): number {
  return isDecode(problem) ? 1 : Math.max(1, Math.floor(numRows / headsOf(attrsOf(problem), numRows)))
}

/** Splits of the longest context. */
function splitsOf(problem: KernelProblem, splitKeys: number): number {
  const maxKeys = widthOf(tensorOf(problem, 'blockTables')) * attrsOf(problem).blockSize
  return Math.ceil(maxKeys / splitKeys)
}

/** `splitKeys` is undefined where one workgroup takes all keys. */
function rowsConfig(
  problem: KernelProblem,
  capabilities: KernelCapabilities,
  splitKeys?: number,
): ReturnType<KernelVariant['configure']> {
  const attrs = attrsOf(problem)
  const width = widthFor(problem)
  const numRows = maxRows(capabilities)
  const [heads, tokens] = [headsOf(attrs, numRows), tokensOf(problem, numRows)]
  const isSplit = splitKeys !== undefined
  const splits = isSplit ? splitsOf(problem, splitKeys) : 1
  return {
    bindings: [
      ...inputs(width),
      ...(isSplit ? [write('partial', width), write('stats', 2)] : [write('y', width)]),
    ],
    constants: {
      u32: {
        ...shapeConstants(attrs),
        HEADS: heads,
        TOKENS: tokens,
        NUM_HEADS: attrs.numHeads,
        ...(isSplit ? { SPLITS: splits, SPLIT_KEYS: splitKeys } : {}),
      },
      f32: { SCALE: attrs.scale },
      flags: { SCALAR: width === 1, SPLIT: isSplit },
    },
    packWidth: width,
    workgroupSize: [invocations, 1, 1],
    grid: [attrs.numHeads / heads, ceilDiv(rowsOf(tensorOf(problem, 'q')), tokens), splits],
  }
}

/** Workgroup memory that attention_rows takes stays below this for the largest head. */
function fitsWorkgroup(problem: KernelProblem, capabilities: KernelCapabilities): boolean {
  const { headDim } = attrsOf(problem)
  const bytes = maxRows(capabilities) * (headDim + invocations + 3) * 4 + invocations * 20
  return bytes <= capabilities.maxWorkgroupBytes
}

const rows: KernelVariant = {
  name: 'attention_rows',
  summary:
    'up to 8 query rows of one KV head a workgroup, so keys and values are loaded once for all of them',
  shader: rowsShader,
  supports: fitsWorkgroup,
  configure: (problem, capabilities) => rowsConfig(problem, capabilities),
}

/** Attention in splits of `splitKeys`. They lie at multiples of it: a position's split does not depend on the batch. */
export function splitAttention(splitKeys: number): KernelVariant {
  return {
    name: 'attention_split',
    summary: `as attention_rows, each workgroup takes ${splitKeys} keys and a second dispatch merges; for long decodes`,
    shader: rowsShader,
    supports: (problem, capabilities) =>
      fitsWorkgroup(problem, capabilities) && isDecode(problem) && splitsOf(problem, splitKeys) > 1,
    configure: (problem, capabilities) => rowsConfig(problem, capabilities, splitKeys),
    scratch(problem) {
      const { numHeads, headDim } = attrsOf(problem)
      const tokens = rowsOf(tensorOf(problem, 'y'))
      const slots = numHeads * splitsOf(problem, splitKeys)
      return { partial: [affine(tokens, slots), headDim], stats: [affine(tokens, slots), 2] }
    },
    finish: {
      name: 'attention_merge',
      shader: mergeShader,
      configure(problem) {
        const { numHeads, headDim } = attrsOf(problem)
        const width = widthFor(problem)
        const packs = (numHeads * headDim) / width
        const splits = splitsOf(problem, splitKeys)
        return {
          bindings: [
            read('partial', width),
            read('stats', 2),
            read('cuSeqlensQ'),
            read('contextLens'),
            write('y', width),
          ],
          constants: {
            u32: { HEAD_DIM: headDim, NUM_HEADS: numHeads, SPLITS: splits, SPLIT_KEYS: splitKeys },
          },
          packWidth: width,
          workgroupSize: [invocations, 1, 1],
          grid: [Math.ceil(packs / invocations), rowsOf(tensorOf(problem, 'y')), 1],
        }
      },
    },
  }
}

/** Query rows of an invocation of attention_lanes, and keys between two of its rescalings. */
const rowsEach = 2
const keysEach = 16

/** Widest head that attention_lanes keeps beside its sums without its compiler giving up on registers. */
const maxLanesHeadDim = 128

const lanes: KernelVariant = {
  name: 'attention_lanes',
  summary: 'two query rows an invocation, keys and values passed round by shuffle; for prefill on CPUs',
  shader: lanesShader,
  supports: (problem, capabilities) =>
    capabilities.adapterClass === 'software' &&
    hasSmallSubgroups(capabilities) &&
    !isDecode(problem) &&
    widthFor(problem) === 4 &&
    attrsOf(problem).headDim <= maxLanesHeadDim,
  configure(problem, { subgroupSize = 8 }) {
    const attrs = attrsOf(problem)
    const [heads, tokens] = [
      headsOf(attrs, rowsEach * subgroupSize),
      tokensOf(problem, rowsEach * subgroupSize),
    ]
    return {
      bindings: [...inputs(4), write('y', 4)],
      constants: {
        u32: { ...shapeConstants(attrs), HEADS: heads, TOKENS: tokens, ROWS_EACH: rowsEach, KEYS: keysEach },
        f32: { SCALE: attrs.scale },
        flags: { SCALAR: false },
      },
      packWidth: 4,
      enables: ['subgroups'],
      workgroupSize: [subgroupSize, 1, 1],
      grid: [attrs.numHeads / heads, ceilDiv(rowsOf(tensorOf(problem, 'q')), tokens), 1],
    }
  },
}

const keys: KernelVariant = {
  name: 'attention_keys',
  summary: 'a workgroup is a subgroup, each invocation scores a key, all share a value; for decode on CPUs',
  shader: keysShader,
  supports: (problem, capabilities) =>
    capabilities.adapterClass === 'software' &&
    hasSmallSubgroups(capabilities) &&
    isDecode(problem) &&
    widthFor(problem) === 4,
  configure(problem, capabilities) {
    const attrs = attrsOf(problem)
    const heads = headsOf(attrs, maxRows(capabilities))
    return {
      bindings: [...inputs(4), write('y', 4)],
      constants: {
        u32: { ...shapeConstants(attrs), HEADS: heads },
        f32: { SCALE: attrs.scale },
        flags: { SCALAR: false },
      },
      packWidth: 4,
      enables: ['subgroups'],
      workgroupSize: [capabilities.subgroupSize ?? 8, 1, 1],
      grid: [attrs.numHeads / heads, rowsOf(tensorOf(problem, 'q')), 1],
    }
  },
}

export const attentionSpec: KernelSpec = {
  op: 'attention',
  variants: [naive, rows, splitAttention(256), lanes, keys],
}

export const rotaryKvWriteSpec: KernelSpec = {
  op: 'rotaryKvWrite',
  variants: [
    {
      name: 'rotary_kv_write',
      summary: 'one invocation a Pack of the merged projection',
      shader: rotaryKvWriteShader,
      supports: () => true,
      configure(problem) {
        invariant(problem.op.kind === 'rotaryKvWrite', 'rotaryKvWrite kernel')
        const { numHeads, numKvHeads, headDim, rotaryDim, blockSize } = problem.op.attrs
        const width = packWidth(problem, ['x', 'y', 'kCache', 'vCache'], headDim, rotaryDim / 2)
        const packs = widthOf(tensorOf(problem, 'x')) / width
        return {
          bindings: [
            read('x', width),
            read('positions'),
            read('table', width),
            read('slots'),
            write('y', width),
            write('kCache', width),
            write('vCache', width),
          ],
          constants: {
            u32: {
              PACKS: packs,
              NUM_HEADS: numHeads,
              KV_HEADS: numKvHeads,
              HEAD_DIM: headDim,
              ROTARY_DIM: rotaryDim,
              BLOCK_SIZE: blockSize,
            },
          },
          packWidth: width,
          workgroupSize: [invocations, 1, 1],
          grid: [Math.ceil(packs / invocations), rowsOf(tensorOf(problem, 'x')), 1],
        }
      },
    },
  ],
}
