// A kernel set in which one variant serves an op kind wherever it can run, whatever adapters it is meant for. Where it
// cannot, says why. Not here: timing.

import type { OpKind } from '../graph/ops/index.ts'
import { wgslKernels } from '../kernels/index.ts'
import type { KernelCapabilities, KernelProblem, KernelSet, KernelVariant } from '../kernels/spec.ts'

/** `skipped` of a variant that asks for features or limits that this adapter lacks. */
export const notOnAdapter = 'not on this adapter'

/** `skipped` of a variant that is for other ops than this one, on any adapter. */
export const notForShape = 'not for this shape or dtype'

type AdapterClass = KernelCapabilities['adapterClass']

/** What became of the variant at an op. */
export interface Verdict {
  /** Plans take it here. */
  readonly isChosen: boolean
  /** The class of adapters that it is for, where it is not this one's: it runs all the same. */
  readonly meantFor: AdapterClass | undefined
  /** Why it did not run; undefined where it did. */
  readonly skipped: string | undefined
}

/** The set, and what became of the variant at the op of that kind that was planned last. */
export function forceVariant(
  kind: OpKind,
  variant: KernelVariant,
): { readonly kernels: KernelSet; readonly verdict: () => Verdict } {
  let verdict: Verdict = { isChosen: false, meantFor: undefined, skipped: undefined }
  return {
    kernels: {
      ...wgslKernels,
      select(problem, capabilities) {
        const usual = wgslKernels.select(problem, capabilities)
        if (problem.op.kind !== kind) return usual
        const { meantFor, skipped } = judge(variant, problem, capabilities)
        verdict = { isChosen: usual.name === variant.name, meantFor, skipped }
        return skipped === undefined ? variant : usual
      },
    },
    verdict: () => verdict,
  }
}

function judge(
  variant: KernelVariant,
  problem: KernelProblem,
  capabilities: KernelCapabilities,
): Omit<Verdict, 'isChosen'> {
  const runsOn = (adapter: KernelCapabilities): boolean => variant.supports(problem, adapter)
  const other = otherClass(capabilities)
  if (runsOn(capabilities)) return { meantFor: undefined, skipped: undefined }
  if (runsOn(other)) return { meantFor: other.adapterClass, skipped: undefined }
  return {
    meantFor: undefined,
    skipped: ableAdapters(capabilities).some(runsOn) ? notOnAdapter : notForShape,
  }
}

function otherClass(capabilities: KernelCapabilities): KernelCapabilities {
  return { ...capabilities, adapterClass: capabilities.adapterClass === 'gpu' ? 'software' : 'gpu' }
}

/** Adapters of both classes with all that variants ask for; some ask for wide subgroups, some for narrow ones or none. */
function ableAdapters(capabilities: KernelCapabilities): KernelCapabilities[] {
  return [undefined, 4, 8, 32]
    .map((subgroupSize) => ({
      ...capabilities,
      subgroups: true,
      subgroupSize,
      nativeF16: true,
      subgroupMatrix: { M: 16, N: 8, K: 16 },
      maxInvocationsPerWorkgroup: Infinity,
      maxWorkgroupBytes: Infinity,
      maxWorkgroupsPerDimension: Infinity,
    }))
    .flatMap((able) => [able, otherClass(able)])
}
