// The kernel for tensor cores, against the f64 reference: natively on an adapter with subgroup matrices (a GPU, or lavapipe
// of Mesa 26 or newer; skipped elsewhere), and with those of GPUs, emulated (helpers/emulatedMatrices.ts), wherever there is
// f16. That it compiles is tested without an adapter (test/unit/kernels).

import { describe, expect, test } from 'vitest'
import type { Device } from '../../src/device/device.ts'
import { wgslKernels } from '../../src/kernels/index.ts'
import type { KernelSet, MatrixShape } from '../../src/kernels/spec.ts'
import { compareOp } from '../helpers/compareOp.ts'
import { testDevice } from '../helpers/devices.ts'
import { emulateMatrices } from '../helpers/emulatedMatrices.ts'
import { linearCase, type OpCase } from '../helpers/opCases.ts'

const device = await testDevice('native')
const { nativeF16, subgroupMatrix } = device.capabilities
const matrix = wgslKernels.specs.linear!.variants.find(({ name }) => name === 'linear_matrix')!

/** Compares a case that the kernel must take. */
async function compareMatrix(opCase: OpCase, on: Device): Promise<void> {
  let isTaken = false
  const select: KernelSet['select'] = (problem, capabilities) => {
    const isMatrix =
      problem.op.kind === 'linear' && matrix.supports(problem, { ...capabilities, adapterClass: 'gpu' })
    isTaken ||= isMatrix
    return isMatrix ? matrix : wgslKernels.select(problem, capabilities)
  }
  await compareOp(opCase, on, { ...wgslKernels, select })
  expect(isTaken).toBe(true)
}

/** Several workgroups and steps along the inner axis, ends inside of matrices, every epilogue. */
const cases = [
  linearCase(66, 52, 68, 'f16', { bias: true, residual: true }),
  linearCase(33, 256, 260, 'f16', { silu: true, gated: true }),
  linearCase(130, 36, 60, 'f16', { silu: true, gated: true, bias: true }),
]
const nativeCases = [
  linearCase(9, 64, 64, 'f16'),
  linearCase(17, 64, 68, 'f16'),
  linearCase(70, 20, 132, 'f16'),
  ...cases,
]

describe('matrices of the adapter', () => {
  test.skipIf(subgroupMatrix === undefined).each(nativeCases)('$name', (opCase) =>
    compareMatrix(opCase, device),
  )
})

describe.each<[string, MatrixShape, number, readonly OpCase[]]>([
  ['16 × 8 × 16 on subgroups of 32', { M: 16, N: 8, K: 16 }, 32, cases],
  ['16 × 16 × 16 on subgroups of 64', { M: 16, N: 16, K: 16 }, 64, cases.slice(-1)],
])('emulated matrices of %s', (_name, shape, subgroupSize, some) => {
  test.skipIf(!nativeF16).each(some)('$name', (opCase) =>
    compareMatrix(opCase, emulateMatrices(device, shape, subgroupSize)),
  )
})
