// Every kernel that the default selection picks, against the f64 reference under the op's accuracy class.

import { afterAll, describe, expect, test } from 'vitest'
import { opKinds } from '../../src/graph/ops/index.ts'
import { wgslKernels } from '../../src/kernels/index.ts'
import { randomKernels } from '../../src/kernels/random.ts'
import { unrollsLoops } from '../../src/kernels/linearTile.ts'
import { hasSmallSubgroups } from '../../src/kernels/shapes.ts'
import type { KernelSet } from '../../src/kernels/spec.ts'
import { compareOp } from '../helpers/compareOp.ts'
import { testDevice } from '../helpers/devices.ts'
import { openGuardedDevice } from '../helpers/guardedDevice.ts'
import { gpuCases, opCases, randomCase } from '../helpers/opCases.ts'

const cases = opCases()

describe('kernels against f64', () => {
  test.each(cases)('$name', async (opCase) => {
    await compareOp(opCase, await testDevice(), wgslKernels)
  })
})

describe('random numbers against f64', () => {
  const random = (['f32', 'f16'] as const).flatMap((dtype) =>
    [0, 1, 2, 7].map((shift) => randomCase(shift, dtype)),
  )
  test.each(random)('$name', async (opCase) => {
    await compareOp(opCase, await testDevice(), randomKernels)
  })
})

describe('every variant that supports a case, amid poison and guard bands', async () => {
  const guarded = await openGuardedDevice('packed')
  afterAll(() => guarded.device.dispose())
  const ladders = cases.filter(({ kind }) => wgslKernels.specs[kind]!.variants.length > 1)
  const seen = new Set<string>()
  test.each(ladders)('$name', async (opCase) => {
    for (const variant of wgslKernels.specs[opCase.kind]!.variants) {
      const select: KernelSet['select'] = (problem, capabilities) => {
        // Variants for GPUs run here as well, only slower.
        const isMeant =
          problem.op.kind === opCase.kind &&
          (['gpu', 'software'] as const).some((adapterClass) =>
            variant.supports(problem, { ...capabilities, adapterClass }),
          )
        if (!isMeant) return wgslKernels.select(problem, capabilities)
        seen.add(variant.name)
        return variant
      }
      await compareOp(opCase, guarded.device, { ...wgslKernels, select }, async () =>
        expect({ [variant.name]: await guarded.strayWrites() }).toEqual({ [variant.name]: [] }),
      )
    }
  })
  test('none was left out but what this adapter lacks; subgroup matrices have a test of their own', () => {
    const names = ladders.flatMap(({ kind }) => wgslKernels.specs[kind]!.variants.map(({ name }) => name))
    const { capabilities } = guarded.device
    const missing = [
      'linear_matrix',
      ...(unrollsLoops(capabilities) ? ['linear_rows'] : ['linear_narrow_tile', 'linear_subgroup_tile']),
      ...(hasSmallSubgroups(capabilities) ? [] : ['rms_norm_subgroup', 'attention_lanes', 'attention_keys']),
    ]
    expect([...new Set(names)].filter((name) => !seen.has(name))).toEqual(missing)
  })
})

/** What a GPU would run: its kernels, its tile sizes, loops of known length, and native halves where there are any. */
describe('the choice for GPUs', async () => {
  const device = await testDevice('native')
  const capabilities = { ...device.capabilities, adapterClass: 'gpu' } as const
  const seen = new Set<string>()
  const select: KernelSet['select'] = (problem) => {
    const variant = wgslKernels.select(problem, capabilities)
    seen.add(variant.name)
    return variant
  }
  test.each(gpuCases())('$name', async (opCase) => {
    await compareOp(opCase, { ...device, capabilities }, { ...wgslKernels, select })
  })
  test('covers what is for GPUs alone', () => {
    const gemv = capabilities.subgroups ? 'linear_gemv_subgroups' : 'linear_gemv'
    expect([...seen]).toEqual(
      expect.arrayContaining([gemv, 'linear_tiled', 'attention_rows', 'attention_split']),
    )
  })
})

describe('native f16', async () => {
  const { capabilities } = await testDevice('native')
  test.skipIf(!capabilities.nativeF16).each(cases.filter(({ dtype }) => dtype === 'f16'))(
    '$name',
    async (opCase) => {
      await compareOp(opCase, await testDevice('native'), wgslKernels)
    },
  )
})

test('the adapter is the one that this project is for', async () => {
  const { adapter } = await testDevice()
  expect(adapter.description).toContain(process.env['TEST_ADAPTER'] ?? '')
})

test('every op kind that dispatches has a case or a test of its own', () => {
  const ownTest = new Set([
    'selectTokens',
    'sample',
    'kvWrite',
    'slice',
    'concat',
    'countTokens',
    'processLogits',
    'randomNormal',
  ])
  const covered = new Set(cases.map(({ kind }) => kind))
  expect(opKinds.filter((kind) => !covered.has(kind) && !ownTest.has(kind))).toEqual([])
})
