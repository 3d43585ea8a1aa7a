// Graph → text: the debugging tool and the snapshot format. Also as Graphviz dot.

import { printShape } from './dim.ts'
import { valueOf, type Graph, type Op, type Value } from './graph.ts'

function printValue(value: Value): string {
  return `%${value.id}: ${value.dtype}${printShape(value.shape)}`
}

function printAttrs(op: Op): string {
  const entries = Object.entries(op.attrs)
  return entries.length === 0
    ? ''
    : ` {${entries.map(([key, value]) => `${key}=${String(value)}`).join(', ')}}`
}

/** `%5: f32[T, 64] = linear(x=%3, w=%4) {dtype=f32}   # layers.0.attn.q_proj` */
export function printOp(graph: Graph, op: Op): string {
  const outputs = Object.values(op.outputs).map((id) => printValue(valueOf(graph, id)))
  const inputs = Object.entries(op.inputs).map(([name, id]) => `${name}=%${id}`)
  return `${outputs.join(', ')} = ${op.kind}(${inputs.join(', ')})${printAttrs(op)}  # ${op.origin}`
}

export function printGraph(graph: Graph): string {
  const lines = [`graph ${graph.name}`]
  for (const state of graph.states)
    lines.push(`state ${state.name}: ${state.dtype}${printShape(state.shape)}`)
  for (const value of graph.values) {
    if (value.source.kind !== 'op') lines.push(`${printValue(value)} = ${value.source.kind} ${value.name}`)
  }
  for (const op of graph.ops) lines.push(printOp(graph, op))
  for (const [name, id] of Object.entries(graph.outputs)) lines.push(`return ${name} = %${id}`)
  return lines.join('\n')
}

/** Graphviz text of the ops and the values that flow between them; weights are left out. */
export function graphToDot(graph: Graph): string {
  const lines = [
    `digraph "${graph.name}" {`,
    '  rankdir=TB; node [shape=box, fontname="sans-serif", fontsize=10];',
  ]
  const producer = new Map<number, string>()
  for (const value of graph.values) {
    if (value.source.kind === 'input' || value.source.kind === 'state') {
      producer.set(value.id, `v${value.id}`)
      lines.push(`  v${value.id} [label="${value.name}", shape=ellipse];`)
    }
  }
  graph.ops.forEach((op, index) => {
    lines.push(`  op${index} [label="${op.kind}\\n${op.origin}"];`)
    for (const id of Object.values(op.inputs)) {
      const from = producer.get(id)
      if (from !== undefined)
        lines.push(`  ${from} -> op${index} [label="${printShape(valueOf(graph, id).shape)}"];`)
    }
    for (const id of Object.values(op.outputs)) producer.set(id, `op${index}`)
  })
  Object.entries(graph.outputs).forEach(([name, id], index) => {
    lines.push(`  out${index} [label="${name}", shape=ellipse];`, `  ${producer.get(id)} -> out${index};`)
  })
  return [...lines, '}'].join('\n')
}
