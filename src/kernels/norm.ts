// The kernel of rmsNorm: one workgroup reduces one row.

import rmsNormShader from '../../shaders/rms_norm.wgsl?raw'
import { invariant } from '../core/errors.ts'
import { packWidth, read, rowsOf, tensorOf, widthOf, write } from './shapes.ts'
import type { KernelSpec } from './spec.ts'

const invocations = 64

export const rmsNormSpec: KernelSpec = {
  op: 'rmsNorm',
  variants: [
    {
      name: 'rms_norm',
      summary: 'one workgroup a row, tree reduction in workgroup memory',
      shader: rmsNormShader,
      supports: () => true,
      configure(problem) {
        invariant(problem.op.kind === 'rmsNorm', 'rmsNorm kernel')
        const y = tensorOf(problem, 'y')
        const width = packWidth(problem, ['x', 'weight', 'y'])
        return {
          bindings: [read('x', width), read('weight', width), write('y', width)],
          constants: {
            u32: { PACKS: widthOf(y) / width },
            f32: { EPS: problem.op.attrs.eps },
            flags: { SCALAR: width === 1 },
          },
          packWidth: width,
          workgroupSize: [invocations, 1, 1],
          grid: [rowsOf(y), 1, 1],
        }
      },
    },
  ],
}
