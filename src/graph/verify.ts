// The written spec of a well-formed graph, as a check. Runs between passes in tests and under `debug` at run time.

import type { StateId, ValueId } from '../core/brand.ts'
import { RuntimeFault } from '../core/errors.ts'
import { inferOp } from './builder.ts'
import { printShape, sameShape } from './dim.ts'
import type { Graph, Op, Value } from './graph.ts'
import { opDef } from './ops/index.ts'
import { exprShape } from './weightExpr.ts'

function fail(graph: Graph, where: string, expected: string, got: string): never {
  throw new RuntimeFault('graph/structure', {
    where: `${graph.name} ${where}`,
    expected,
    got,
    fix: 'The last pass or builder broke the graph; print it before and after.',
  })
}

/**
 * Throws a graph/* fault unless: ids are indices; every value is defined once and before its uses; types agree with
 * the op definitions; state versions form one chain each, read only until overwritten; outputs exist.
 */
export function verifyGraph(graph: Graph): void {
  const defined = new Set<number>()
  graph.values.forEach((value, index) => {
    if (value.id !== index) fail(graph, value.name, `id ${index}`, String(value.id))
    if (value.source.kind !== 'op') defined.add(value.id)
    if (value.source.kind === 'weight' && !sameShape(value.shape, exprShape(value.source.expr))) {
      fail(graph, value.name, printShape(exprShape(value.source.expr)), printShape(value.shape))
    }
  })
  const latest = latestVersions(graph)
  for (const op of graph.ops) {
    verifyOperands(graph, op, defined, latest)
    verifyTypes(graph, op)
    for (const [name, id] of Object.entries(op.outputs)) {
      if (defined.has(id)) fail(graph, op.origin, 'each value defined once', `%${id} again`)
      defined.add(id)
      const value = graph.values[id]!
      const from = opDef(op.kind).nextVersionOf?.[name]
      const previous = from === undefined ? undefined : graph.values[op.inputs[from]!]
      if (value.state !== previous?.state)
        fail(graph, op.origin, `${name} to carry its state on`, 'another state')
      if (value.state !== undefined) latest.set(value.state, id)
    }
  }
  for (const [name, id] of Object.entries(graph.outputs)) {
    if (!defined.has(id)) fail(graph, `output ${name}`, 'a defined value', `%${id}`)
  }
  for (const [state, id] of latest) {
    const isWritten = graph.values[id]!.source.kind === 'op'
    if (isWritten && !Object.values(graph.outputs).includes(id)) {
      fail(graph, `state ${graph.states[state]?.name}`, 'its last version among the outputs', 'none')
    }
  }
}

function latestVersions(graph: Graph): Map<StateId, ValueId> {
  const latest = new Map<StateId, ValueId>()
  for (const value of graph.values) {
    if (value.source.kind === 'state' && value.state !== undefined) latest.set(value.state, value.id)
  }
  return latest
}

function verifyOperands(
  graph: Graph,
  op: Op,
  defined: ReadonlySet<number>,
  latest: ReadonlyMap<number, number>,
): void {
  for (const [name, id] of Object.entries(op.inputs)) {
    if (!defined.has(id)) fail(graph, `${op.origin}.${name}`, 'a value defined earlier', `%${id}`)
    const value: Value = graph.values[id]!
    if (value.state !== undefined && latest.get(value.state) !== id) {
      fail(
        graph,
        `${op.origin}.${name}`,
        `the latest version of ${value.name}`,
        `%${id}, already overwritten`,
      )
    }
  }
}

function verifyTypes(graph: Graph, op: Op): void {
  const types = inferOp(op.kind, op.origin, op.inputs, op.attrs as never, graph.values)
  for (const [name, type] of Object.entries(types)) {
    const value = graph.values[op.outputs[name] ?? -1]
    if (value === undefined) fail(graph, op.origin, `output ${name}`, 'none')
    if (value.dtype !== type.dtype || !sameShape(value.shape, type.shape)) {
      fail(
        graph,
        `${op.origin}.${name}`,
        `${type.dtype}${printShape(type.shape)}`,
        `${value.dtype}${printShape(value.shape)}`,
      )
    }
  }
}
