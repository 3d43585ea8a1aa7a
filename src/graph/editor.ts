// A mutable copy of a graph for passes: look up, put ops in the place of others, replace uses, then finish() into a new
// immutable graph. Producers and readers are kept by value, so that no look-up goes through all ops.

import type { ValueId } from '../core/brand.ts'
import { invariant } from '../core/errors.ts'
import { inferOp } from './builder.ts'
import type { Graph, Op, OpOf, Value } from './graph.ts'
import type { OpAttrs, OpKind } from './ops/index.ts'
import { exprShape, printExpr, type WeightExpr } from './weightExpr.ts'

export class GraphEditor {
  readonly #graph: Graph
  readonly #values: Value[]
  readonly #outputs: Record<string, ValueId>
  /** Names of the graph's outputs that are a value. */
  readonly #outputNames = new Map<ValueId, readonly string[]>()
  /** Ops in execution order, each by its first output; an op's place may come to hold several or none. */
  readonly #places: (readonly ValueId[])[] = []
  /** By an op's first output. */
  readonly #placeOf = new Map<ValueId, number>()
  /** By each output. */
  readonly #producers = new Map<ValueId, Op>()
  /** First outputs of the ops that read a value. */
  readonly #readers = new Map<ValueId, Set<ValueId>>()

  constructor(graph: Graph) {
    this.#graph = graph
    this.#values = [...graph.values]
    this.#outputs = { ...graph.outputs }
    for (const [name, id] of Object.entries(graph.outputs)) this.#nameOutput(id, [name])
    for (const op of graph.ops) {
      this.#placeOf.set(leadOf(op), this.#places.length)
      this.#places.push([leadOf(op)])
      this.#register(op)
    }
  }

  /** In execution order, as they are now. */
  get ops(): Op[] {
    return this.#places.flatMap((leads) => leads.map((lead) => this.#producers.get(lead)!))
  }

  value(id: ValueId): Value {
    const value = this.#values[id]
    invariant(value !== undefined, `value ${id}`)
    return value
  }

  /** The op that makes a value, as it is now; undefined for inputs, weights and what another kind of op makes. */
  producer<K extends OpKind>(kind: K, id: ValueId): OpOf<K> | undefined {
    const op = this.#producers.get(id)
    return op?.kind === kind ? (op as unknown as OpOf<K>) : undefined
  }

  /** The ops that read a value, each once, in no particular order. */
  readers(id: ValueId): Op[] {
    return [...(this.#readers.get(id) ?? [])].map((lead) => this.#producers.get(lead)!)
  }

  /** Number of reads of a value, outputs of the graph included. */
  numUses(id: ValueId): number {
    const reads = this.readers(id).flatMap((op) => Object.values(op.inputs))
    return reads.filter((read) => read === id).length + (this.#outputNames.get(id)?.length ?? 0)
  }

  isOutput(id: ValueId): boolean {
    return this.#outputNames.has(id)
  }

  weight(expr: WeightExpr, dtype: Value['dtype']): ValueId {
    return this.#add({
      name: printExpr(expr),
      dtype,
      shape: exprShape(expr),
      source: { kind: 'weight', expr },
    })
  }

  /** A new op with fresh outputs, for `replace`. Not for ops that write states. */
  makeOp<K extends OpKind>(kind: K, origin: string, inputs: Record<string, ValueId>, attrs: OpAttrs[K]): Op {
    const outputs: Record<string, ValueId> = {}
    for (const [name, { dtype, shape }] of Object.entries(
      inferOp(kind, origin, inputs, attrs, this.#values),
    )) {
      outputs[name] = this.#add({ name: `${origin}.${name}`, dtype, shape, source: { kind: 'op' } })
    }
    return { kind, origin, inputs, outputs, attrs } as Op
  }

  /** Puts ops where `op` is; with none, removes it. They may make values that `op` made. */
  replace(op: Op, ...ops: readonly Op[]): void {
    const lead = leadOf(op)
    const place = this.#placeOf.get(lead)
    invariant(place !== undefined, `${op.origin} is in the graph`)
    this.#unregister(op)
    this.#placeOf.delete(lead)
    const leads = ops.map(leadOf)
    this.#places[place] = this.#places[place]!.flatMap((each) => (each === lead ? leads : [each]))
    for (const each of ops) {
      this.#placeOf.set(leadOf(each), place)
      this.#register(each)
    }
  }

  /** Every reader of `from`, outputs of the graph included, reads `to` instead. */
  replaceUses(from: ValueId, to: ValueId): void {
    for (const op of this.readers(from)) {
      const swapped = Object.entries(op.inputs).map(([name, id]) => [name, id === from ? to : id])
      this.#unregister(op)
      this.#register({ ...op, inputs: Object.fromEntries(swapped) })
    }
    const names = this.#outputNames.get(from) ?? []
    this.#outputNames.delete(from)
    this.#nameOutput(to, names)
    for (const name of names) this.#outputs[name] = to
  }

  /** The new graph. Unread values stay until removeDead. */
  finish(): Graph {
    return { ...this.#graph, values: this.#values, ops: this.ops, outputs: this.#outputs }
  }

  #register(op: Op): void {
    for (const id of Object.values(op.outputs)) this.#producers.set(id, op)
    for (const id of Object.values(op.inputs)) {
      const readers = this.#readers.get(id) ?? new Set()
      this.#readers.set(id, readers.add(leadOf(op)))
    }
  }

  #unregister(op: Op): void {
    for (const id of Object.values(op.outputs)) this.#producers.delete(id)
    for (const id of Object.values(op.inputs)) this.#readers.get(id)?.delete(leadOf(op))
  }

  #nameOutput(id: ValueId, names: readonly string[]): void {
    if (names.length > 0) this.#outputNames.set(id, [...(this.#outputNames.get(id) ?? []), ...names])
  }

  #add(value: Omit<Value, 'id'>): ValueId {
    const id = this.#values.length as ValueId
    this.#values.push({ id, ...value })
    return id
  }
}

/** Every op makes something. */
function leadOf(op: Op): ValueId {
  return Object.values(op.outputs)[0]!
}
