// Drops ops and values that no output needs, and renumbers the values. Writes to states are kept because the final
// version of every written state is an output.

import type { ValueId } from '../core/brand.ts'
import type { Graph, Op, Value } from '../graph/graph.ts'
import type { Pass } from './pass.ts'

export const removeDead: Pass = {
  name: 'removeDead',
  run(graph) {
    const live = new Set<ValueId>(Object.values(graph.outputs))
    const ops: Op[] = []
    for (const op of graph.ops.toReversed()) {
      if (!Object.values(op.outputs).some((id) => live.has(id))) continue
      ops.push(op)
      for (const id of [...Object.values(op.inputs), ...Object.values(op.outputs)]) live.add(id)
    }
    return renumber({ ...graph, ops: ops.reverse() }, live)
  },
}

function renumber(graph: Graph, live: ReadonlySet<ValueId>): Graph {
  const ids = new Map<ValueId, ValueId>()
  const values: Value[] = []
  for (const value of graph.values) {
    if (!live.has(value.id)) continue
    const id = values.length as ValueId
    ids.set(value.id, id)
    values.push({ ...value, id })
  }
  const map = (record: Readonly<Record<string, ValueId>>): Record<string, ValueId> =>
    Object.fromEntries(Object.entries(record).map(([name, id]) => [name, ids.get(id)!]))
  return {
    ...graph,
    values,
    ops: graph.ops.map((op) => ({ ...op, inputs: map(op.inputs), outputs: map(op.outputs) })),
    inputs: graph.inputs.filter((id) => live.has(id)).map((id) => ids.get(id)!),
    outputs: map(graph.outputs),
  }
}
