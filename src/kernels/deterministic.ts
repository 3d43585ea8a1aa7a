// Kernels whose results do not depend on what else a step computes: the WGSL kernels, the same for steps of every
// size. A row's sums then meet in one order, whether it is decoded alone, in a batch, or computed again in a prefill.

import type { DimEnv } from '../graph/dim.ts'
import { invariant } from '../core/errors.ts'
import { wgslKernels } from './index.ts'
import type { KernelProblem, KernelSet, KernelVariant } from './spec.ts'

/**
 * The step that variants and their constants are chosen for, whatever the plan's: eight sequences that decode. Its
 * kernels read weights once for eight rows, and no row's result there depends on the others.
 */
const canonical: DimEnv = { T: 8, S: 8, R: 8 }

const asCanonical = (problem: KernelProblem): KernelProblem => ({ ...problem, maxima: canonical })

/** Choices do not depend on the maxima of a plan; grids still cover its rows. */
export const deterministicKernels: KernelSet = {
  ...wgslKernels,
  select(problem, capabilities): KernelVariant {
    const variant = wgslKernels.specs[problem.op.kind]?.variants.findLast(
      // Scratch tensors for splits of every row of a prefill would outgrow the rest of the arena.
      ({ finish, supports }) => finish === undefined && supports(asCanonical(problem), capabilities),
    )
    invariant(variant !== undefined, `${problem.op.kind} has a plain kernel`)
    return { ...variant, configure: (own, limits) => variant.configure(asCanonical(own), limits) }
  },
}
