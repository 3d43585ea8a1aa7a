// Every kernel that the default selection picks, against the f64 reference under the op's accuracy class.

import { describe, expect, test } from 'vitest'
import { createReferenceDevice } from '../../src/device/reference/reference.ts'
import { tolerance } from '../../src/graph/opDef.ts'
import { opDef, opKinds } from '../../src/graph/ops/index.ts'
import { wgslKernels } from '../../src/kernels/index.ts'
import type { KernelSet } from '../../src/kernels/spec.ts'
import { expectClose } from '../helpers/close.ts'
import { testDevice } from '../helpers/devices.ts'
import { opCases, type OpCase } from '../helpers/opCases.ts'
import { runGraph } from '../helpers/runGraph.ts'

const cases = opCases()

async function compare(opCase: OpCase, half: 'packed' | 'native', kernels: KernelSet): Promise<void> {
  const device = await testDevice(half)
  const { graph, dims, maxima, values, kind, dtype, length } = opCase
  const expected = await runGraph(createReferenceDevice(), graph, { dims, values, outputs: ['y'] })
  const actual = await runGraph(device, graph, { dims, maxima, values, kernels, outputs: ['y'] })
  // Inputs of f16 cases are f16 numbers, so only the op's own rounding and that of its operands' producers count.
  expectClose(
    actual['y']!.data,
    expected['y']!.data,
    tolerance(opDef(kind).accuracy, dtype, length),
    opCase.name,
  )
}

describe('kernels against f64', () => {
  test.each(cases)('$name', async (opCase) => {
    await compare(opCase, 'packed', wgslKernels)
  })
})

describe('the plainest variant of each kernel', () => {
  const plainest: KernelSet = {
    ...wgslKernels,
    select: (problem) => wgslKernels.specs[problem.op.kind]!.variants[0]!,
  }
  test.each(cases.filter(({ kind }) => wgslKernels.specs[kind]!.variants.length > 1))(
    '$name',
    async (opCase) => {
      await compare(opCase, 'packed', plainest)
    },
  )
})

describe('native f16', async () => {
  const { capabilities } = await testDevice('native')
  test.skipIf(!capabilities.nativeF16).each(cases.filter(({ dtype }) => dtype === 'f16'))(
    '$name',
    async (opCase) => {
      await compare(opCase, 'native', wgslKernels)
    },
  )
})

test('the adapter is the one that this project is for', async () => {
  const { adapter } = await testDevice()
  expect(adapter.description).toContain(process.env['TEST_ADAPTER'] ?? '')
})

test('every op kind that dispatches has a case or a test of its own', () => {
  const ownTest = new Set(['embedding', 'selectTokens', 'sample', 'kvWrite', 'slice'])
  const covered = new Set(cases.map(({ kind }) => kind))
  expect(opKinds.filter((kind) => !covered.has(kind) && !ownTest.has(kind))).toEqual([])
})
