// The IR: an immutable SSA graph of tensor operations with explicit states. Types and look-ups only; building is in
// builder.ts, rewriting in editor.ts, checking in verify.ts, printing in print.ts.

import type { StateId, ValueId } from '../core/brand.ts'
import type { DType } from '../core/dtype.ts'
import { invariant } from '../core/errors.ts'
import type { Dim } from './dim.ts'
import type { OpAttrs, OpKind } from './ops/index.ts'
import type { WeightExpr } from './weightExpr.ts'

export type ValueSource =
  | { readonly kind: 'weight'; readonly expr: WeightExpr }
  /** Written by the host for each step. */
  | { readonly kind: 'input' }
  /** The version of a state that the step starts with. */
  | { readonly kind: 'state' }
  | { readonly kind: 'op' }

export interface Value {
  readonly id: ValueId
  readonly name: string
  readonly dtype: DType
  readonly shape: readonly Dim[]
  readonly source: ValueSource
  /** Set on every version of a state; versions of one state share its memory. */
  readonly state?: StateId
}

/** Memory that outlives a step and belongs to the engine. */
export interface State {
  readonly id: StateId
  readonly name: string
  readonly dtype: DType
  readonly shape: readonly number[]
}

export interface OpOf<K extends OpKind> {
  readonly kind: K
  readonly inputs: Readonly<Record<string, ValueId>>
  readonly outputs: Readonly<Record<string, ValueId>>
  readonly attrs: OpAttrs[K]
  /** Model path such as `layers.3.attn.q_proj`; errors, profiles and the inspector show it. */
  readonly origin: string
}

export type Op = { [K in OpKind]: OpOf<K> }[OpKind]

export interface Graph {
  readonly name: string
  readonly values: readonly Value[]
  readonly states: readonly State[]
  /** In execution order. */
  readonly ops: readonly Op[]
  /** Inputs that the host writes for each step, in layout order. */
  readonly inputs: readonly ValueId[]
  /** Values that must survive: results to read and final versions of states. */
  readonly outputs: Readonly<Record<string, ValueId>>
}

export function valueOf(graph: Graph, id: ValueId): Value {
  const value = graph.values[id]
  invariant(value !== undefined, `value ${id} of graph ${graph.name}`)
  return value
}

/** Ops that read each value, by value id. */
export function usersOf(graph: Graph): Map<ValueId, Op[]> {
  const users = new Map<ValueId, Op[]>()
  for (const op of graph.ops) {
    for (const input of new Set(Object.values(op.inputs))) {
      const list = users.get(input)
      if (list === undefined) users.set(input, [op])
      else list.push(op)
    }
  }
  return users
}
