// A mutable copy of a graph for passes: replace uses, add values and ops, then finish() into a new immutable graph.

import type { ValueId } from '../core/brand.ts'
import { invariant } from '../core/errors.ts'
import { inferOp } from './builder.ts'
import type { Graph, Op, Value } from './graph.ts'
import type { OpAttrs, OpKind } from './ops/index.ts'
import { exprShape, printExpr, type WeightExpr } from './weightExpr.ts'

export class GraphEditor {
  readonly #graph: Graph
  readonly #values: Value[]
  #outputs: Record<string, ValueId>
  /** In execution order; passes may rearrange it. */
  ops: Op[]

  constructor(graph: Graph) {
    this.#graph = graph
    this.#values = [...graph.values]
    this.#outputs = { ...graph.outputs }
    this.ops = [...graph.ops]
  }

  value(id: ValueId): Value {
    const value = this.#values[id]
    invariant(value !== undefined, `value ${id}`)
    return value
  }

  weight(expr: WeightExpr, dtype: Value['dtype']): ValueId {
    return this.#add({
      name: printExpr(expr),
      dtype,
      shape: exprShape(expr),
      source: { kind: 'weight', expr },
    })
  }

  /** A new op with fresh outputs; the caller places it in `ops`. Not for ops that write states. */
  makeOp<K extends OpKind>(kind: K, origin: string, inputs: Record<string, ValueId>, attrs: OpAttrs[K]): Op {
    const outputs: Record<string, ValueId> = {}
    for (const [name, { dtype, shape }] of Object.entries(
      inferOp(kind, origin, inputs, attrs, this.#values),
    )) {
      outputs[name] = this.#add({ name: `${origin}.${name}`, dtype, shape, source: { kind: 'op' } })
    }
    return { kind, origin, inputs, outputs, attrs } as Op
  }

  /** Every reader of `from`, outputs of the graph included, reads `to` instead. */
  replaceUses(from: ValueId, to: ValueId): void {
    const swap = (record: Readonly<Record<string, ValueId>>): Record<string, ValueId> =>
      Object.fromEntries(Object.entries(record).map(([name, id]) => [name, id === from ? to : id]))
    this.ops = this.ops.map((op) =>
      Object.values(op.inputs).includes(from) ? { ...op, inputs: swap(op.inputs) } : op,
    )
    this.#outputs = swap(this.#outputs)
  }

  /** Number of reads of a value, outputs of the graph included. */
  numUses(id: ValueId): number {
    const reads = this.ops.flatMap((op) => Object.values(op.inputs)).concat(Object.values(this.#outputs))
    return reads.filter((read) => read === id).length
  }

  isOutput(id: ValueId): boolean {
    return Object.values(this.#outputs).includes(id)
  }

  /** The new graph. Unread values stay until removeDead. */
  finish(): Graph {
    return { ...this.#graph, values: this.#values, ops: this.ops, outputs: this.#outputs }
  }

  #add(value: Omit<Value, 'id'>): ValueId {
    const id = this.#values.length as ValueId
    this.#values.push({ id, ...value })
    return id
  }
}
