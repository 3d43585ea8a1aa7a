// The registry of op kinds. To add one: define it in a file of this folder, list it here, give it a KernelSpec in
// src/kernels, and the op test in test/gpu picks it up.

import type { OpDef } from '../opDef.ts'
import { attention, kvWrite, rotary, rotaryKvWrite } from './attention.ts'
import { add, biasAdd, concat, mul, silu, slice, swiglu } from './elementwise.ts'
import { embedding, gatherRows, selectTokens } from './embedding.ts'
import { linear, rmsNorm } from './linear.ts'
import { countTokens, processLogits } from './logits.ts'
import { randomNormal } from './random.ts'
import { sample } from './sample.ts'

/** Definitions by kind. */
export interface OpDefs {
  readonly add: typeof add
  readonly attention: typeof attention
  readonly biasAdd: typeof biasAdd
  readonly concat: typeof concat
  readonly countTokens: typeof countTokens
  readonly embedding: typeof embedding
  readonly gatherRows: typeof gatherRows
  readonly kvWrite: typeof kvWrite
  readonly linear: typeof linear
  readonly mul: typeof mul
  readonly processLogits: typeof processLogits
  readonly randomNormal: typeof randomNormal
  readonly rmsNorm: typeof rmsNorm
  readonly rotary: typeof rotary
  readonly rotaryKvWrite: typeof rotaryKvWrite
  readonly sample: typeof sample
  readonly selectTokens: typeof selectTokens
  readonly silu: typeof silu
  readonly slice: typeof slice
  readonly swiglu: typeof swiglu
}

const defs: OpDefs = {
  add,
  attention,
  biasAdd,
  concat,
  countTokens,
  embedding,
  gatherRows,
  kvWrite,
  linear,
  mul,
  processLogits,
  randomNormal,
  rmsNorm,
  rotary,
  rotaryKvWrite,
  sample,
  selectTokens,
  silu,
  slice,
  swiglu,
}

export type OpKind = keyof OpDefs
type AttrsOf<D> = D extends OpDef<infer A> ? A : never
export type OpAttrs = { readonly [K in OpKind]: AttrsOf<OpDefs[K]> }

export const opKinds: readonly OpKind[] = Object.keys(defs) as OpKind[]

/** The definition of an op kind. Its attribute type is erased; `Op` keeps kind and attributes together. */
export function opDef(kind: OpKind): OpDef<unknown> {
  return defs[kind]
}
