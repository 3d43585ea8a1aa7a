// Attention does not depend on the number of splits: the same keys in one to seven of them, some of them empty for some
// sequences, against the f64 reference.

import { describe, expect, test } from 'vitest'
import { splitAttention } from '../../src/kernels/attention.ts'
import { wgslKernels } from '../../src/kernels/index.ts'
import type { KernelSet } from '../../src/kernels/spec.ts'
import { compareOp } from '../helpers/compareOp.ts'
import { testDevice } from '../helpers/devices.ts'
import { attentionCase } from '../helpers/opCases.ts'

const blockSize = 16
/** In blocks: 160 keys. */
const longest = 10

describe.each([
  { name: 'MHA', numHeads: 2, numKvHeads: 2, headDim: 128, dtype: 'f32' },
  { name: 'GQA', numHeads: 4, numKvHeads: 2, headDim: 48, dtype: 'f16' },
  { name: 'MQA', numHeads: 3, numKvHeads: 1, headDim: 256, dtype: 'f32' },
] as const)('$name, heads of $headDim, $dtype', (shape) => {
  const opCase = attentionCase({
    ...shape,
    blockSize,
    sequences: [
      { cached: longest * blockSize - 2, added: 1 },
      // One key, and one key more than a split has for some of the numbers: most splits of these are empty.
      { cached: 0, added: 1 },
      { cached: 80, added: 1 },
    ],
  })

  test.each([1, 2, 3, 4, 5, 6, 7])('in %i splits', async (numSplits) => {
    const split = splitAttention(Math.ceil((longest * blockSize) / numSplits))
    const numDispatched: number[] = []
    const select: KernelSet['select'] = (problem, capabilities) => {
      if (problem.op.kind !== 'attention') return wgslKernels.select(problem, capabilities)
      const whole = wgslKernels.specs.attention!.variants.find(({ name }) => name === 'attention_rows')!
      const variant = split.supports(problem, capabilities) ? split : whole
      const { grid } = variant.configure(problem, capabilities)
      numDispatched.push(grid[2] as number)
      return variant
    }
    await compareOp(opCase, await testDevice(), { ...wgslKernels, select })
    expect(numDispatched).toEqual([numSplits])
  })
})
