// The kernel of rmsNorm: one workgroup reduces one row.

import rmsNormShader from '../../shaders/rms_norm.wgsl?raw'
import { invariant } from '../core/errors.ts'
import { hasSmallSubgroups, packWidth, read, rowsOf, tensorOf, widthOf, write } from './shapes.ts'
import type { KernelConfig, KernelProblem, KernelSpec } from './spec.ts'

const invocations = 64

function configure(problem: KernelProblem, workgroup: number, isOneSubgroup: boolean): KernelConfig {
  invariant(problem.op.kind === 'rmsNorm', 'rmsNorm kernel')
  const y = tensorOf(problem, 'y')
  const width = packWidth(problem, ['x', 'weight', 'y'])
  return {
    bindings: [read('x', width), read('weight', width), write('y', width)],
    constants: {
      u32: { PACKS: widthOf(y) / width },
      f32: { EPS: problem.op.attrs.eps },
      flags: { SCALAR: width === 1, ONE_SUBGROUP: isOneSubgroup },
    },
    packWidth: width,
    ...(isOneSubgroup ? { enables: ['subgroups'] as const } : {}),
    workgroupSize: [workgroup, 1, 1],
    grid: [rowsOf(y), 1, 1],
  }
}

export const rmsNormSpec: KernelSpec = {
  op: 'rmsNorm',
  variants: [
    {
      name: 'rms_norm',
      summary: 'one workgroup a row, tree reduction in workgroup memory',
      shader: rmsNormShader,
      supports: () => true,
      configure: (problem) => configure(problem, invocations, false),
    },
    {
      name: 'rms_norm_subgroup',
      summary: 'as rms_norm, the workgroup is a subgroup: no barrier; for CPUs',
      shader: rmsNormShader,
      supports: (_, capabilities) =>
        capabilities.adapterClass === 'software' && hasSmallSubgroups(capabilities),
      configure: (problem, { subgroupSize = invocations }) => configure(problem, subgroupSize, true),
    },
  ],
}
