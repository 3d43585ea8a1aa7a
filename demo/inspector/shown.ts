// What follows from the state: the diagram that is shown, which of its nodes stands for what, how hot each is. Pure.

import type { DispatchInspection, ModelInspection, StepProfile } from '../shared/engine.ts'
import type { Diagram } from './diagram/diagram.ts'
import { graphDiagram } from './diagram/graphDiagram.ts'
import { planDiagram } from './diagram/planDiagram.ts'
import type { Highlight, Profiling, Selection } from './session.ts'

export type View = 'graph' | 'plan'

export function diagramOf(inspection: ModelInspection, view: View, plan: number): Diagram {
  return view === 'graph' ? graphDiagram(inspection.graph) : planDiagram(inspection.plans[plan]!)
}

/** The node of a selection. In both diagrams nodes are numbered as what they stand for. */
export function selectedNode(selection: Selection | undefined, view: View): number | undefined {
  if (selection === undefined || (selection.kind === 'op') !== (view === 'graph')) return undefined
  return selection.index
}

/** Dispatches of the plan that a highlight means. */
export function highlightedNodes(
  highlight: Highlight | undefined,
  inspection: ModelInspection,
  plan: number,
): ReadonlySet<number> | undefined {
  if (highlight === undefined) return undefined
  const matches = ({ bindings, variant, place }: DispatchInspection): boolean =>
    highlight.kind === 'buffer'
      ? bindings.some(({ buffer }) => buffer === highlight.id)
      : variant === highlight.variant && place === highlight.origin
  const { dispatches } = inspection.plans[plan]!
  return new Set(dispatches.flatMap((dispatch, index) => (matches(dispatch) ? [index] : [])))
}

/** The profile of the plan that is shown: of decode steps where both kinds ran. */
export function profileOf(profiling: Profiling, plan: number): StepProfile | undefined {
  if (profiling.status !== 'done') return undefined
  const own = profiling.profiles.filter((profile) => profile.plan === plan)
  return own.find(({ kind }) => kind === 'decode') ?? own[0]
}

/** Milliseconds by node of the diagram. */
export function timesOf(profile: StepProfile, inspection: ModelInspection, view: View): readonly number[] {
  if (view === 'plan') return profile.dispatchMs
  const times = inspection.graph.ops.map(() => 0)
  inspection.plans[profile.plan]!.dispatches.forEach(({ opIndex }, index) => {
    times[opIndex]! += profile.dispatchMs[index]!
  })
  return times
}

/** What a plan is for, such as `decode, up to 4 tokens`. */
export function planName({ plans }: ModelInspection, plan: number): string {
  const { T, S } = plans[plan]!.maxima
  if (T === 1) return 'Decode, 1 sequence'
  return T === S ? `Decode, up to ${S} sequences` : `Prefill, up to ${T} tokens`
}
