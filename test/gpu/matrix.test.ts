// The kernel for tensor cores, against the f64 reference. Needs an adapter with subgroup matrices: a GPU, or lavapipe
// of Mesa 26 or newer; skipped elsewhere. That it compiles is tested without an adapter (test/unit/kernels).

import { expect, test } from 'vitest'
import { createReferenceDevice } from '../../src/device/reference/reference.ts'
import { tolerance } from '../../src/graph/opDef.ts'
import { opDef } from '../../src/graph/ops/index.ts'
import { wgslKernels } from '../../src/kernels/index.ts'
import type { KernelSet } from '../../src/kernels/spec.ts'
import { expectClose } from '../helpers/close.ts'
import { testDevice } from '../helpers/devices.ts'
import { linearCase } from '../helpers/opCases.ts'
import { runGraph } from '../helpers/runGraph.ts'

const device = await testDevice('native')
const matrix = wgslKernels.specs.linear!.variants.find(({ name }) => name === 'linear_matrix')!

const kernels: KernelSet = {
  ...wgslKernels,
  select: (problem, capabilities) =>
    problem.op.kind === 'linear' && matrix.supports(problem, { ...capabilities, adapterClass: 'gpu' })
      ? matrix
      : wgslKernels.select(problem, capabilities),
}

test
  .skipIf(device.capabilities.subgroupMatrix === undefined)
  .each([
    linearCase(9, 64, 64, 'f16'),
    linearCase(17, 64, 68, 'f16'),
    linearCase(70, 20, 132, 'f16'),
    linearCase(66, 52, 68, 'f16', { bias: true, residual: true }),
    linearCase(33, 256, 260, 'f16', { silu: true, gated: true }),
    linearCase(130, 36, 60, 'f16', { silu: true, gated: true, bias: true }),
  ])('$name', async ({ graph, dims, maxima, values, kind, dtype, length, name }) => {
  const expected = await runGraph(createReferenceDevice(), graph, { dims, values })
  const actual = await runGraph(device, graph, { dims, maxima, values, kernels })
  const limit = tolerance(opDef(kind).accuracy, dtype, length)
  for (const [output, { data }] of Object.entries(expected))
    expectClose(actual[output]!.data, data, limit, `${name} ${output}`)
  expect(Object.keys(expected)).toEqual(['y'])
})
