// A model's graph as a diagram: ops are nodes, what they hand on are edges; weights, inputs of the step and states are
// chips on the ops that take them, since edges from them would cross everything.

import type { GraphDocument, OpDocument, ValueDocument } from '../../shared/engine.ts'
import { groupByLayer, type Chip, type Diagram, type DiagramEdge } from './diagram.ts'

export function graphDiagram(graph: GraphDocument): Diagram {
  const { groups, places } = groupByLayer(graph.ops.map(({ origin }) => origin))
  const makers = new Map<number, number>()
  graph.ops.forEach(({ outputs }, index) => {
    for (const id of Object.values(outputs)) makers.set(id, index)
  })
  const nodes = graph.ops.map((op, index) => {
    const { group, path } = places[index]!
    const results = Object.values(op.outputs).map((id) => graph.values[id]!)
    return {
      group,
      path,
      title: op.kind,
      op: op.kind,
      lines: results.filter(({ state }) => state === undefined).map(typeOf),
      chips: chipsOf(graph, op),
    }
  })
  const edges = graph.ops.flatMap(({ inputs }, to): DiagramEdge[] =>
    [...new Set(Object.values(inputs))].flatMap((key) => {
      const from = makers.get(key)
      if (from === undefined) return []
      return [{ from, to, key, kind: graph.values[key]!.state === undefined ? 'value' : 'state' }]
    }),
  )
  return { groups, nodes, edges }
}

/** `f16 [T, 320]` */
export function typeOf({ dtype, shape }: Pick<ValueDocument, 'dtype' | 'shape'>): string {
  return `${dtype} [${shape.join(', ')}]`
}

function chipsOf(graph: GraphDocument, { inputs, outputs }: OpDocument): Chip[] {
  const read = Object.entries(inputs).map(([operand, id]) => ({ operand, value: graph.values[id]! }))
  const written = Object.values(outputs).map((id) => graph.values[id]!)
  const states = new Set(
    [...read.map(({ value }) => value), ...written].flatMap(({ state }) =>
      state === undefined ? [] : [graph.states[state]!.name.replace(/^.*\./, '')],
    ),
  )
  const inputNames = read.filter(({ value }) => value.source === 'input').map(({ value }) => value.name)
  return [
    ...read
      .filter(({ value }) => value.source === 'weight')
      .map(({ operand, value }): Chip => ({ kind: 'weight', label: `${operand}  ${typeOf(value)}` })),
    ...(states.size === 0 ? [] : [{ kind: 'state', label: [...states].join(', ') } as const]),
    ...(inputNames.length === 0 ? [] : [{ kind: 'input', label: inputNames.join(', ') } as const]),
  ]
}
