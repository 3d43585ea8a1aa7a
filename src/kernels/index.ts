// The WGSL kernel set: every op kind that dispatches, and the choice among its variants.

import { RuntimeFault } from '../core/errors.ts'
import type { OpKind } from '../graph/ops/index.ts'
import { attentionSpec, rotaryKvWriteSpec } from './attention.ts'
import { elementwiseSpecs } from './elementwise.ts'
import { linearSpec } from './linear.ts'
import { rmsNormSpec } from './norm.ts'
import { sampleSpecs } from './sample.ts'
import type { KernelCapabilities, KernelProblem, KernelSet, KernelSpec, KernelVariant } from './spec.ts'

const specs: Partial<Record<OpKind, KernelSpec>> = Object.fromEntries(
  [...elementwiseSpecs, linearSpec, rmsNormSpec, attentionSpec, rotaryKvWriteSpec, ...sampleSpecs].map(
    (spec) => [spec.op, spec],
  ),
)

export const wgslKernels: KernelSet = { target: 'wgsl', specs, select: selectVariant }

/** The last variant of the ladder that supports the problem. */
function selectVariant(problem: KernelProblem, capabilities: KernelCapabilities): KernelVariant {
  const variant = specs[problem.op.kind]?.variants.findLast(({ supports }) => supports(problem, capabilities))
  if (variant !== undefined) return variant
  throw new RuntimeFault('kernel/unsupported', {
    where: `${problem.op.origin} (${problem.op.kind})`,
    expected: 'a WGSL kernel',
    got: 'none',
    fix: 'Add a KernelSpec for this op kind in src/kernels.',
  })
}
