// Kernels that use subgroups, at sizes that adapters on CPUs do not have, against the f64 reference: subgroups are emulated
// (helpers/emulatedSubgroups.ts). Runs on SwiftShader, whose compiler keeps loops as they are; others unroll these for
// minutes. Not here: the adapter's own size (ops.test.ts; lavapipe's is 4, 8 or 16, as LP_NATIVE_VECTOR_WIDTH is 128, 256 or
// 512), and what is chosen for which size (test/unit/kernels/subgroupChoice.test.ts).

import { afterAll, describe, expect, test } from 'vitest'
import type { Capabilities } from '../../src/plan/types.ts'
import { wgslKernels } from '../../src/kernels/index.ts'
import { compareOp } from '../helpers/compareOp.ts'
import { emulateSubgroups } from '../helpers/emulatedSubgroups.ts'
import { openGuardedDevice } from '../helpers/guardedDevice.ts'
import { attentionCase, linearCase, unaryCase, type OpCase } from '../helpers/opCases.ts'

const guarded = await openGuardedDevice('packed')
afterAll(() => guarded.device.dispose())

/**
 * Runs cases on subgroups of `size`, amid poison and guard bands, with the kernels that are chosen for `capabilities`.
 * Expects `variants` to be among them.
 */
function testKernels(
  cases: readonly OpCase[],
  size: number,
  capabilities: Pick<Capabilities, 'adapterClass' | 'subgroupSize'>,
  variants: readonly string[],
): void {
  const device = emulateSubgroups(guarded.device, size, capabilities.adapterClass)
  const seen = new Set<string>()
  const kernels: typeof wgslKernels = {
    ...wgslKernels,
    select(problem, own) {
      const variant = wgslKernels.select(problem, { ...own, ...capabilities })
      seen.add(variant.name)
      return variant
    },
  }
  test.each(cases)('$name', async (opCase) => {
    await compareOp(opCase, device, kernels, async () => expect(await guarded.strayWrites()).toEqual([]))
  })
  test('took the kernels in question', () => {
    expect([...seen]).toEqual(expect.arrayContaining([...variants]))
  })
}

/** The case in a plan for no more rows than it has; with one, for decoding. */
function exactly(opCase: OpCase): OpCase {
  return { ...opCase, maxima: opCase.dims }
}

/** Inner axes of one load less than the 64 invocations, as many, and one more; all rows of a plan or some. */
function gemvCases(): OpCase[] {
  return [
    exactly(linearCase(1, 4 * 64, 4, 'f32')),
    exactly(linearCase(1, 8 * 63, 68, 'f16', { residual: true })),
    exactly(linearCase(8, 4 * 65, 12, 'f32', { silu: true, gated: true, bias: true })),
    exactly(linearCase(8, 8 * 65, 12, 'f16', { silu: true, gated: true, bias: true })),
    linearCase(3, 4, 20, 'f16', { bias: true }),
    linearCase(5, 4 * 37, 44, 'f32', { silu: true, gated: true }),
  ]
}

// Where an adapter has a range of sizes, this kernel learns as it runs which one it got: all of the range must be right.
describe.each([16, 32, 64, 128])('on a GPU with subgroups of %i', (size) => {
  testKernels(gemvCases(), size, { adapterClass: 'gpu', subgroupSize: size }, ['linear_gemv_subgroups'])
})

/** Rows, columns, keys and heads of an element or a load less than a subgroup takes, as many, and one more. */
function oneSubgroupCases(size: number): OpCase[] {
  const attention = { numHeads: 2, numKvHeads: 1, blockSize: 16 }
  // Wider heads are not for attention_lanes.
  const headDim = (loads: number): number => Math.min(128, 4 * loads)
  return [
    unaryCase('rmsNorm', 2, 1, 'f32'),
    unaryCase('rmsNorm', 3, size + 1, 'f32'),
    unaryCase('rmsNorm', 3, 4 * (size - 1), 'f32'),
    unaryCase('rmsNorm', 3, 4 * size, 'f16'),
    unaryCase('rmsNorm', 3, 4 * (size + 1), 'f16'),
    linearCase(size - 1, 256, 256, 'f32', { bias: true, residual: true }),
    linearCase(2 * size + 1, 252, 268, 'f16', { silu: true, gated: true }),
    attentionCase({
      ...attention,
      headDim: headDim(size - 1),
      dtype: 'f16',
      sequences: [
        { cached: 5, added: size + 1 },
        { cached: 0, added: 2 },
      ],
    }),
    attentionCase({
      ...attention,
      numHeads: 1,
      headDim: headDim(size),
      dtype: 'f32',
      sequences: [{ cached: 0, added: 2 * size + 1 }],
    }),
    attentionCase({
      ...attention,
      headDim: 4 * (size + 1),
      dtype: 'f32',
      sequences: [0, size - 2, size - 1, 2 * size].map((cached) => ({ cached, added: 1 })),
    }),
    attentionCase({
      ...attention,
      numHeads: 8,
      headDim: 4 * (size - 1),
      dtype: 'f16',
      sequences: [{ cached: 300, added: 1 }],
    }),
  ]
}

// No CPU has subgroups of more than 16, so that those are never chosen: for speed alone, which this shows.
describe.each([16, 32, 64])('in workgroups that are a subgroup of %i', (size) => {
  testKernels(oneSubgroupCases(size), size, { adapterClass: 'software', subgroupSize: 16 }, [
    'rms_norm_subgroup',
    'linear_subgroup_tile',
    'attention_lanes',
    'attention_keys',
  ])
})
