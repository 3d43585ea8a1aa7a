// Graph and plan as plain data for people and tools: no expressions, no shaders, nothing that a message could not carry.

import { printDim, type Dim } from '../graph/dim.ts'
import type { Graph } from '../graph/graph.ts'
import { printExpr } from '../graph/weightExpr.ts'
import type { Plan } from './types.ts'

/** A number, or text such as `T` where it varies from step to step: T tokens, S sequences, R rows of logits. */
export type DimDocument = number | string

/** A tensor of a graph. */
export interface ValueDocument {
  /** Its index among the graph's values. */
  readonly id: number
  /** Of the checkpoint's tensor or of the op that makes it. */
  readonly name: string
  /** Type of an element. */
  readonly dtype: string
  /** Outermost first. */
  readonly shape: readonly DimDocument[]
  /** `input` is written for each step, `state` is the version that a step begins with. */
  readonly source: 'weight' | 'input' | 'state' | 'op'
  /** Of a weight: what it is made of. */
  readonly expr?: string
  /** Index of the state whose version it is. */
  readonly state?: number
}

/** An operation of a graph. */
export interface OpDocument {
  /** Such as `linear`. */
  readonly kind: string
  /** Model path such as `layers.3.attn.o_proj`. */
  readonly origin: string
  /** Ids of values by operand. */
  readonly inputs: Readonly<Record<string, number>>
  /** Ids of values by result. */
  readonly outputs: Readonly<Record<string, number>>
  /** What else decides what it computes. */
  readonly attrs: object
}

/** Memory that outlives a step, such as the KV cache of a layer. */
export interface StateDocument {
  /** Its index among the graph's states. */
  readonly id: number
  /** Such as `layers.3.k_cache`. */
  readonly name: string
  /** Type of an element. */
  readonly dtype: string
  /** Outermost first. */
  readonly shape: readonly number[]
}

/** A graph after all passes. */
export interface GraphDocument {
  /** Of the model family. */
  readonly name: string
  /** Memory that outlives a step. */
  readonly states: readonly StateDocument[]
  /** By id. */
  readonly values: readonly ValueDocument[]
  /** In execution order. */
  readonly ops: readonly OpDocument[]
  /** Ids of what the host writes for each step. */
  readonly inputs: readonly number[]
  /** Ids of results and last versions of states, by name. */
  readonly outputs: Readonly<Record<string, number>>
}

/** Memory of a plan. */
export interface PlanBufferDocument {
  /** Its index among the plan's buffers. */
  readonly id: number
  /** What it is for; results inside a step take turns in the `arena`. */
  readonly role: 'weight' | 'state' | 'arena' | 'step'
  /** Name of the weight or state. */
  readonly label: string
  /** Size. */
  readonly bytes: number
}

/** A part of a buffer that a kernel sees. */
export interface BindingDocument {
  /** Id of the buffer. */
  readonly buffer: number
  /** Bytes from its start. */
  readonly offset: number
  /** Size. */
  readonly bytes: number
  /** Whether the kernel writes it. */
  readonly access: 'read' | 'read_write'
}

/** One launch of a kernel. */
export interface DispatchDocument {
  /** Model path of its op. */
  readonly origin: string
  /** Kind of its op. */
  readonly op: string
  /** Index of its op among the graph's. */
  readonly opIndex: number
  /** Name of the kernel. */
  readonly variant: string
  /** Invocations of a workgroup. */
  readonly workgroupSize: readonly number[]
  /** Workgroups. */
  readonly grid: readonly DimDocument[]
  /** Of group 0, in order. */
  readonly bindings: readonly BindingDocument[]
}

/** What may vary from step to step. */
export interface StepSize {
  /** Tokens. */
  readonly T: number
  /** Sequences. */
  readonly S: number
  /** Rows of logits: sequences that get a token. */
  readonly R: number
}

/** How steps of up to a size are computed. */
export interface PlanDocument {
  /** Largest step that it runs. */
  readonly maxima: StepSize
  /** By id. */
  readonly buffers: readonly PlanBufferDocument[]
  /** In execution order. */
  readonly dispatches: readonly DispatchDocument[]
}

export function graphDocument({ name, values, states, ops, inputs, outputs }: Graph): GraphDocument {
  return {
    name,
    states,
    values: values.map(({ id, name, dtype, shape, source, state }) => ({
      id,
      name,
      dtype,
      shape: shapeDocument(shape),
      source: source.kind,
      ...(source.kind === 'weight' ? { expr: printExpr(source.expr) } : {}),
      ...(state === undefined ? {} : { state }),
    })),
    ops,
    inputs,
    outputs,
  }
}

/** Without the shaders, whose text would be most of the document. */
export function planDocument({ maxima, buffers, dispatches }: Plan): PlanDocument {
  return {
    maxima,
    buffers: buffers.map(({ id, role, label, bytes }) => ({ id, role, label, bytes })),
    dispatches: dispatches.map(({ origin, op, opIndex, variant, bindings, workgroupSize, grid }) => ({
      origin,
      op,
      opIndex,
      variant,
      workgroupSize,
      grid: shapeDocument(grid),
      bindings,
    })),
  }
}

export function shapeDocument(shape: readonly Dim[]): DimDocument[] {
  return shape.map((dim) => (typeof dim === 'number' ? dim : printDim(dim)))
}
