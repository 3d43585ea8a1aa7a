// A case of an op on a device, against the f64 reference under the op's accuracy class.

import type { Device } from '../../src/device/device.ts'
import { createReferenceDevice } from '../../src/device/reference/reference.ts'
import { tolerance } from '../../src/graph/opDef.ts'
import { opDef } from '../../src/graph/ops/index.ts'
import type { KernelSet } from '../../src/kernels/spec.ts'
import { expectClose } from './close.ts'
import type { OpCase } from './opCases.ts'
import { runGraph } from './runGraph.ts'

/** Compares every output of a case; the caches too, where it writes them. */
export async function compareOp(
  opCase: OpCase,
  device: Device,
  kernels: KernelSet,
  check?: () => Promise<void>,
): Promise<void> {
  const { graph, dims, maxima, values, kind, dtype, length } = opCase
  // The reference runs no kernel; any will do for its plan.
  const plainest: KernelSet = { ...kernels, select: ({ op }) => kernels.specs[op.kind]!.variants[0]! }
  const expected = await runGraph(createReferenceDevice(), graph, { dims, values, kernels: plainest })
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
