// Every kernel that the default selection picks, against the f64 reference under the op's accuracy class.

import { afterAll, describe, expect, test } from 'vitest'
import type { Device } from '../../src/device/device.ts'
import { createReferenceDevice } from '../../src/device/reference/reference.ts'
import { tolerance } from '../../src/graph/opDef.ts'
import { opDef, opKinds } from '../../src/graph/ops/index.ts'
import { wgslKernels } from '../../src/kernels/index.ts'
import type { KernelSet } from '../../src/kernels/spec.ts'
import { expectClose } from '../helpers/close.ts'
import { testDevice } from '../helpers/devices.ts'
import { openGuardedDevice } from '../helpers/guardedDevice.ts'
import { opCases, type OpCase } from '../helpers/opCases.ts'
import { runGraph } from '../helpers/runGraph.ts'

const cases = opCases()

/** Compares every output of a case; the caches too, where it writes them. */
async function compare(
  opCase: OpCase,
  device: Device,
  kernels: KernelSet,
  check?: () => Promise<void>,
): Promise<void> {
  const { graph, dims, maxima, values, kind, dtype, length } = opCase
  const expected = await runGraph(createReferenceDevice(), graph, { dims, values })
  const actual = await runGraph(device, graph, { dims, maxima, values, kernels, ...(check && { check }) })
  for (const name of Object.keys(graph.outputs)) {
    // Inputs of f16 cases are f16 numbers, so only the rounding of the op and of its operands' producers counts.
    const limit = tolerance(opDef(kind).accuracy, dtype, length)
    const data = name === 'y' ? actual[name]!.data : withoutPoison(actual[name]!.data, expected[name]!.data)
    expectClose(data, expected[name]!.data, limit, `${opCase.name} ${name}`)
  }
}

/** Slots of a cache that no token has filled hold what they held before: NaN on the guarded device. */
function withoutPoison(actual: ArrayLike<number>, expected: ArrayLike<number>): number[] {
  return Array.from(actual, (value, i) => (Number.isNaN(value) && expected[i] === 0 ? 0 : value))
}

describe('kernels against f64', () => {
  test.each(cases)('$name', async (opCase) => {
    await compare(opCase, await testDevice(), wgslKernels)
  })
})

describe('every variant that supports a case, amid poison and guard bands', async () => {
  const guarded = await openGuardedDevice('packed')
  afterAll(() => guarded.device.dispose())
  const ladders = cases.filter(({ kind }) => wgslKernels.specs[kind]!.variants.length > 1)
  test.each(ladders)('$name', async (opCase) => {
    for (const variant of wgslKernels.specs[opCase.kind]!.variants) {
      const select: KernelSet['select'] = (problem, capabilities) =>
        // Variants for GPUs run here as well, only slower.
        problem.op.kind === opCase.kind &&
        (['gpu', 'software'] as const).some((adapterClass) =>
          variant.supports(problem, { ...capabilities, adapterClass }),
        )
          ? variant
          : wgslKernels.select(problem, capabilities)
      await compare(opCase, guarded.device, { ...wgslKernels, select }, async () =>
        expect({ [variant.name]: await guarded.strayWrites() }).toEqual({ [variant.name]: [] }),
      )
    }
  })
})

describe('native f16', async () => {
  const { capabilities } = await testDevice('native')
  test.skipIf(!capabilities.nativeF16).each(cases.filter(({ dtype }) => dtype === 'f16'))(
    '$name',
    async (opCase) => {
      await compare(opCase, await testDevice('native'), wgslKernels)
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
  ])
  const covered = new Set(cases.map(({ kind }) => kind))
  expect(opKinds.filter((kind) => !covered.has(kind) && !ownTest.has(kind))).toEqual([])
})
