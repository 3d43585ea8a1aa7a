// Kernels without reductions: one invocation computes one Pack of one row.

import elementwiseShader from '../../shaders/elementwise.wgsl?raw'
import gatherRowsShader from '../../shaders/gather_rows.wgsl?raw'
import kvWriteShader from '../../shaders/kv_write.wgsl?raw'
import rotaryShader from '../../shaders/rotary.wgsl?raw'
import selectTokensShader from '../../shaders/select_tokens.wgsl?raw'
import { invariant } from '../core/errors.ts'
import { ceilDiv, type Dim } from '../graph/dim.ts'
import type { OpKind } from '../graph/ops/index.ts'
import { packWidth, present, read, rowsOf, tensorOf, widthOf, write } from './shapes.ts'
import type { KernelConfig, KernelProblem, KernelSpec } from './spec.ts'

const invocations = 64

/** A grid of one invocation a Pack: x over the row, y over the rows. */
function rowGrid(packs: number, rows: Dim): Pick<KernelConfig, 'workgroupSize' | 'grid'> {
  return { workgroupSize: [invocations, 1, 1], grid: [Math.ceil(packs / invocations), rows, 1] }
}

function single(op: OpKind, shader: string, configure: (problem: KernelProblem) => KernelConfig): KernelSpec {
  const summary = 'one invocation a Pack of one row'
  return { op, variants: [{ name: op, summary, shader, supports: () => true, configure }] }
}

function elementwise(op: OpKind, a: string, b: string | undefined): KernelSpec {
  return single(op, elementwiseShader, (problem) => {
    const names = b === undefined ? [a, 'y'] : [a, b, 'y']
    const width = packWidth(problem, names)
    const y = tensorOf(problem, 'y')
    const packs = widthOf(y) / width
    // The bias of biasAdd is one row for all tokens.
    const bStride = b === undefined || op === 'biasAdd' ? 0 : tensorOf(problem, b).rowStride / width
    return {
      bindings: [read(a, width, 'a'), ...(b === undefined ? [] : [read(b, width, 'b')]), write('y', width)],
      constants: {
        u32: { PACKS: packs, B_ROW_STRIDE: bStride },
        flags: {
          HAS_B: b !== undefined,
          SILU: op === 'silu',
          ADD: op === 'add' || op === 'biasAdd',
          MUL: op === 'mul',
          SWIGLU: op === 'swiglu',
        },
      },
      packWidth: width,
      ...rowGrid(packs, rowsOf(y)),
    }
  })
}

function gather(op: 'embedding' | 'gatherRows', table: string, rows: string): KernelSpec {
  return single(op, gatherRowsShader, (problem) => {
    const previous = present(problem, ['previous'])
    const width = packWidth(problem, [table, ...previous, 'y'])
    const y = tensorOf(problem, 'y')
    const packs = widthOf(y) / width
    // Rows of a step's activations are always in range; 2³² − 1 stands for "as many as there are".
    const numRows = rowsOf(tensorOf(problem, table))
    const firstRow = problem.op.kind === 'embedding' ? (problem.op.attrs.firstRow ?? 0) : 0
    return {
      bindings: [
        read(table, width, 'table'),
        read(rows, 1, 'rows'),
        ...previous.map((name) => read(name, width)),
        write('y', width),
      ],
      constants: {
        u32: {
          PACKS: packs,
          FIRST_ROW: firstRow,
          TABLE_ROWS: typeof numRows === 'number' ? numRows : 0xffff_ffff,
        },
        flags: { HAS_PREVIOUS: previous.length > 0 },
      },
      packWidth: width,
      ...rowGrid(packs, rowsOf(y)),
    }
  })
}

const selectTokens = single('selectTokens', selectTokensShader, (problem) => ({
  bindings: [read('source'), read('sampled'), write('ids')],
  constants: {},
  packWidth: 1,
  workgroupSize: [invocations, 1, 1],
  grid: [ceilDiv(rowsOf(tensorOf(problem, 'ids')), invocations), 1, 1],
}))

const rotary = single('rotary', rotaryShader, (problem) => {
  invariant(problem.op.kind === 'rotary', 'rotary kernel')
  const { headDim, rotaryDim, style } = problem.op.attrs
  const isInterleaved = style === 'interleaved'
  const width = isInterleaved
    ? packWidth(problem, ['x', 'y'], headDim, rotaryDim)
    : packWidth(problem, ['x', 'y'], headDim, rotaryDim / 2)
  const packs = widthOf(tensorOf(problem, 'y')) / width
  return {
    bindings: [
      read('x', width),
      read('positions'),
      read('table', isInterleaved ? 1 : width),
      write('y', width),
    ],
    constants: {
      u32: { PACKS: packs, HEAD_DIM: headDim, ROTARY_DIM: rotaryDim },
      flags: { INTERLEAVED: isInterleaved },
    },
    packWidth: width,
    ...rowGrid(packs, rowsOf(tensorOf(problem, 'y'))),
  }
})

const kvWrite = single('kvWrite', kvWriteShader, (problem) => {
  invariant(problem.op.kind === 'kvWrite', 'kvWrite kernel')
  const { headDim, numKvHeads, blockSize } = problem.op.attrs
  const width = packWidth(problem, ['k', 'v'], headDim)
  const packs = (numKvHeads * headDim) / width
  return {
    bindings: [
      read('k', width),
      read('v', width),
      read('slots'),
      write('kCache', width),
      write('vCache', width),
    ],
    constants: { u32: { PACKS: packs, HEAD_DIM: headDim, KV_HEADS: numKvHeads, BLOCK_SIZE: blockSize } },
    packWidth: width,
    ...rowGrid(packs, rowsOf(tensorOf(problem, 'k'))),
  }
})

export const elementwiseSpecs: readonly KernelSpec[] = [
  selectTokens,
  gather('embedding', 'table', 'ids'),
  gather('gatherRows', 'x', 'rows'),
  elementwise('silu', 'x', undefined),
  elementwise('add', 'a', 'b'),
  elementwise('mul', 'a', 'b'),
  elementwise('swiglu', 'a', 'b'),
  elementwise('biasAdd', 'x', 'bias'),
  rotary,
  kvWrite,
]
