// Builds graphs: adds values and ops, infers and checks their types on the way. Models use it; passes use editor.ts.

import type { StateId, ValueId } from '../core/brand.ts'
import type { DType } from '../core/dtype.ts'
import { RuntimeFault, invariant } from '../core/errors.ts'
import type { Dim } from './dim.ts'
import type { Graph, Op, State, Value } from './graph.ts'
import type { ValueType } from './opDef.ts'
import { opDef, type OpAttrs, type OpKind } from './ops/index.ts'
import { exprShape, printExpr, type WeightExpr } from './weightExpr.ts'

export class GraphBuilder {
  readonly #name: string
  readonly #values: Value[] = []
  readonly #states: State[] = []
  readonly #ops: Op[] = []
  readonly #inputs: ValueId[] = []
  readonly #outputs: Record<string, ValueId> = {}
  readonly #weights = new Map<string, ValueId>()

  constructor(name: string) {
    this.#name = name
  }

  /** A weight; the same expression and dtype give the same value. */
  weight(expr: WeightExpr, dtype: DType): ValueId {
    const key = `${printExpr(expr)} ${dtype}`
    const known = this.#weights.get(key)
    if (known !== undefined) return known
    const id = this.#addValue({
      name: printExpr(expr),
      dtype,
      shape: exprShape(expr),
      source: { kind: 'weight', expr },
    })
    this.#weights.set(key, id)
    return id
  }

  /** A tensor that the host writes for each step. */
  input(name: string, dtype: DType, shape: readonly Dim[]): ValueId {
    const id = this.#addValue({ name, dtype, shape, source: { kind: 'input' } })
    this.#inputs.push(id)
    return id
  }

  /** Memory that outlives the step; returns the version that the step starts with. */
  state(name: string, dtype: DType, shape: readonly number[]): ValueId {
    const state = this.#states.length as StateId
    this.#states.push({ id: state, name, dtype, shape })
    return this.#addValue({ name, dtype, shape, source: { kind: 'state' }, state })
  }

  /** Adds an op and returns its outputs by name. Optional operands may be undefined. */
  op<K extends OpKind>(
    kind: K,
    origin: string,
    inputs: Readonly<Record<string, ValueId | undefined>>,
    attrs: OpAttrs[K],
  ): Record<string, ValueId> {
    const present: Record<string, ValueId> = {}
    for (const [name, id] of Object.entries(inputs)) if (id !== undefined) present[name] = id
    const outputs: Record<string, ValueId> = {}
    for (const [name, { dtype, shape }] of Object.entries(
      inferOp(kind, origin, present, attrs, this.#values),
    )) {
      outputs[name] = this.#addValue({
        name: `${origin}.${name}`,
        dtype,
        shape,
        source: { kind: 'op' },
        ...nextState(kind, name, present, this.#values),
      })
    }
    this.#ops.push({ kind, origin, inputs: present, outputs, attrs } as Op)
    return outputs
  }

  /** As `op`, for kinds with one output. */
  apply<K extends OpKind>(
    kind: K,
    origin: string,
    inputs: Readonly<Record<string, ValueId | undefined>>,
    attrs: OpAttrs[K],
  ): ValueId {
    const [output, ...rest] = Object.values(this.op(kind, origin, inputs, attrs))
    invariant(output !== undefined && rest.length === 0, `${kind} has one output`)
    return output
  }

  output(name: string, id: ValueId): void {
    this.#outputs[name] = id
  }

  /** Type of a value that was added before. */
  typeOf(id: ValueId): ValueType {
    return this.#values[id]!
  }

  finish(): Graph {
    return {
      name: this.#name,
      values: this.#values,
      states: this.#states,
      ops: this.#ops,
      inputs: this.#inputs,
      outputs: this.#outputs,
    }
  }

  #addValue(value: Omit<Value, 'id'>): ValueId {
    const id = this.#values.length as ValueId
    this.#values.push({ id, ...value })
    return id
  }
}

/** Output types of an op over existing values; checks operand names first. */
export function inferOp<K extends OpKind>(
  kind: K,
  origin: string,
  inputs: Readonly<Record<string, ValueId>>,
  attrs: OpAttrs[K],
  values: readonly Value[],
): Readonly<Record<string, ValueType>> {
  const where = `${origin} (${kind})`
  const def = opDef(kind)
  const required = def.inputs.filter((name) => !name.endsWith('?')).map((name) => name.replace('*', '0'))
  const missing = required.filter((name) => inputs[name] === undefined)
  const unknown = Object.keys(inputs).filter(
    (name) => !def.inputs.some((declared) => isOperand(declared, name)),
  )
  if (missing.length > 0 || unknown.length > 0) {
    throw new RuntimeFault('graph/structure', {
      where,
      expected: `operands ${def.inputs.join(', ')}`,
      got: Object.keys(inputs).join(', ') || 'none',
      fix: 'Pass the operands that the op definition lists.',
    })
  }
  const types: Record<string, ValueType> = {}
  for (const [name, id] of Object.entries(inputs)) {
    const value = values[id]
    invariant(value !== undefined, `${where} reads value ${id} before it exists`)
    types[name] = value
  }
  return def.infer(attrs, types, where)
}

/** Whether `name` is the operand that a definition declares, or one of those that it repeats. */
function isOperand(declared: string, name: string): boolean {
  if (!declared.endsWith('*')) return declared.replace('?', '') === name
  const stem = declared.slice(0, -1)
  return name.startsWith(stem) && /^\d+$/.test(name.slice(stem.length))
}

function nextState(
  kind: OpKind,
  output: string,
  inputs: Readonly<Record<string, ValueId>>,
  values: readonly Value[],
): { state?: StateId } {
  const from = opDef(kind).nextVersionOf?.[output]
  if (from === undefined) return {}
  const state = values[inputs[from]!]?.state
  if (state === undefined) {
    throw new RuntimeFault('graph/structure', {
      where: `${kind} operand ${from}`,
      expected: 'a version of a state',
      got: 'a plain value',
      fix: 'Create it with builder.state().',
    })
  }
  return { state }
}
