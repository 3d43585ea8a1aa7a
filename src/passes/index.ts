// The ordered presets and the one function that runs them.

import type { Graph } from '../graph/graph.ts'
import { verifyGraph } from '../graph/verify.ts'
import { fuseEpilogue } from './fuseEpilogue.ts'
import { fuseGate } from './fuseGate.ts'
import { fuseGatedActivation } from './fuseGatedActivation.ts'
import { fuseRotaryKvWrite } from './fuseRotaryKvWrite.ts'
import { mergeLinears } from './mergeLinears.ts'
import type { Pass } from './pass.ts'
import { removeDead } from './removeDead.ts'
import { splitWeights } from './splitWeights.ts'

export type { Pass } from './pass.ts'
export {
  fuseEpilogue,
  fuseGate,
  fuseGatedActivation,
  fuseRotaryKvWrite,
  mergeLinears,
  removeDead,
  splitWeights,
}

/**
 * For inference. Order matters: the gated activation is taken before fuseEpilogue could put its silu into the gate
 * projection alone, biases are folded before mergeLinears stacks them with their weights, and the last two fusions
 * work on what mergeLinears merged, once dead readers of it are gone.
 */
export const inferencePasses: readonly Pass[] = [
  fuseGatedActivation,
  fuseEpilogue,
  mergeLinears,
  removeDead,
  fuseGate,
  fuseRotaryKvWrite,
  removeDead,
]

/** As `inferencePasses`, then weights are split so that each fits a binding of `maxBindingBytes`. */
export function inferencePassesFor(maxBindingBytes: number): readonly Pass[] {
  return [...inferencePasses, splitWeights(maxBindingBytes), removeDead]
}

/** Runs passes in order; `verify` checks the graph before and after each. */
export function runPasses(graph: Graph, passes: readonly Pass[], verify = false): Graph {
  if (verify) verifyGraph(graph)
  return passes.reduce((current, pass) => {
    const next = pass.run(current)
    if (verify) verifyGraph(next)
    return next
  }, graph)
}
