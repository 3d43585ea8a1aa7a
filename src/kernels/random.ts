// The kernel of randomNormal, in a set of its own: models do without it, and so do pages that run them.

import randomNormalShader from '../../shaders/random_normal.wgsl?raw'
import { invariant } from '../core/errors.ts'
import { read, tensorOf, write } from './shapes.ts'
import type { KernelSet, KernelVariant } from './spec.ts'

const invocations = 64
/** Of a Philox block, which one invocation writes. */
const numbers = 8

const randomNormal: KernelVariant = {
  name: 'random_normal',
  summary: 'one invocation the eight numbers of a Philox block',
  shader: randomNormalShader,
  supports: () => true,
  configure(problem, { maxWorkgroupsPerDimension }) {
    invariant(problem.op.kind === 'randomNormal', 'a kernel for randomNormal')
    const { maxCount } = problem.op.attrs
    // Those that begin inside a block reach into one more.
    const workgroups = Math.ceil((Math.ceil(maxCount / numbers) + 1) / invocations)
    const rows = Math.ceil(workgroups / maxWorkgroupsPerDimension)
    // A half shares its word, so halves are written in pairs; floats may be odd in number.
    const isHalf = tensorOf(problem, 'numbers').dtype === 'f16'
    return {
      bindings: [read('part'), read('distribution'), write('numbers', isHalf ? 2 : 1)],
      constants: { flags: { PAIRS: isHalf } },
      packWidth: isHalf ? 2 : 1,
      workgroupSize: [invocations, 1, 1],
      grid: [Math.ceil(workgroups / rows), rows, 1],
    }
  },
}

export const randomKernels: KernelSet = {
  target: 'wgsl',
  specs: { randomNormal: { op: 'randomNormal', variants: [randomNormal] } },
  select: () => randomNormal,
}
