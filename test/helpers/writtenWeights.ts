// Weights that are written on a device, in memory that can be read back.

import type { BufferId, StateId } from '../../src/core/brand.ts'
import type { Device, DeviceBuffer } from '../../src/device/device.ts'
import type { DeviceTensors, UnwrittenWeight } from '../../src/engine/loadWeights.ts'
import { GraphBuilder } from '../../src/graph/builder.ts'
import type { FloatDType } from '../../src/graph/opDef.ts'
import { exprShape, printExpr, type WeightExpr } from '../../src/graph/weightExpr.ts'
import { wgslKernels } from '../../src/kernels/index.ts'
import { makePlan } from '../../src/plan/plan.ts'
import { StepWriter } from '../../src/plan/stepLayout.ts'
import { tensorBytes } from '../../src/plan/types.ts'

export const unnoticed = { signal: undefined, onProgress: () => undefined }

function elementsOf(expr: WeightExpr): number {
  return exprShape(expr).reduce((product, dim) => product * dim, 1)
}

/** The memory is a state's: a weight's cannot be read back. */
export async function unwrittenWeight(
  device: Device,
  expr: WeightExpr,
  dtype: FloatDType,
): Promise<UnwrittenWeight> {
  const bytes = tensorBytes(elementsOf(expr), dtype)
  const label = printExpr(expr)
  return {
    weight: { id: 0 as BufferId, role: 'weight', key: `${dtype} ${label}`, label, bytes, expr, dtype },
    buffer: await device.alloc(bytes, 'states', label),
  }
}

/** The first elements of a buffer. */
export async function contentsOf(
  device: Device,
  buffer: DeviceBuffer,
  dtype: FloatDType,
  numElements: number,
): Promise<Float32Array> {
  const b = new GraphBuilder('read')
  b.output('contents', b.state('contents', dtype, [numElements]))
  const maxima = { T: 1, S: 1, R: 1 }
  const plan = makePlan(b.finish(), { kernels: wgslKernels, capabilities: device.capabilities, maxima })
  const states = new Map([[0 as StateId, buffer]])
  const prepared = await device.prepare(plan, { weights: new Map(), states, arena: [] })
  const step = new StepWriter(plan.step, maxima).write(maxima, {})
  const { contents } = await device.run(prepared, step, ['contents'])
  prepared.dispose()
  return Float32Array.from(contents!.data)
}

/** All elements of one weight. */
export async function writtenValues(
  device: Device,
  tensors: Pick<DeviceTensors, 'write'>,
  expr: WeightExpr,
  dtype: FloatDType,
): Promise<Float32Array> {
  const weight = await unwrittenWeight(device, expr, dtype)
  await tensors.write(device, [weight], unnoticed)
  const values = await contentsOf(device, weight.buffer, dtype, elementsOf(expr))
  weight.buffer.destroy()
  return values
}
