// Linears that read the same input (Q/K/V, gate/up) become one over stacked weights; their results become column
// slices, which are views. Only the weight expressions change: the loader stacks rows while streaming.

import { GraphEditor } from '../graph/editor.ts'
import type { Op, OpOf } from '../graph/graph.ts'
import { concat, exprShape, type WeightExpr } from '../graph/weightExpr.ts'
import type { ValueId } from '../core/brand.ts'
import type { Pass } from './pass.ts'

type Linear = OpOf<'linear'>

export const mergeLinears: Pass = {
  name: 'mergeLinears',
  run(graph) {
    const editor = new GraphEditor(graph)
    // By their results, since a merge replaces the readers of what it merges, whole groups at a time.
    const siblings = new Map<string, ValueId[]>()
    for (const op of graph.ops) {
      const key = op.kind === 'linear' ? mergeKey(editor, op) : undefined
      if (key !== undefined) siblings.set(key, [...(siblings.get(key) ?? []), op.outputs['y']!])
    }
    for (const ids of siblings.values()) {
      const group = ids.flatMap((id) => editor.producer('linear', id) ?? [])
      if (group.length > 1) merge(editor, group)
    }
    return editor.finish()
  },
}

function weightExpr(editor: GraphEditor, id: ValueId): WeightExpr | undefined {
  const { source } = editor.value(id)
  return source.kind === 'weight' ? source.expr : undefined
}

/** Linears with equal keys can be merged; undefined if this one cannot be merged at all. */
function mergeKey(editor: GraphEditor, op: Linear): string | undefined {
  const { x, w, bias, residual } = op.inputs
  if (residual !== undefined || op.attrs.activation !== 'none' || op.attrs.gated === true) return undefined
  // A view cannot be read back.
  if (editor.isOutput(op.outputs['y']!)) return undefined
  if (weightExpr(editor, w!) === undefined) return undefined
  if (bias !== undefined && weightExpr(editor, bias) === undefined) return undefined
  const biasType = bias === undefined ? 'none' : editor.value(bias).dtype
  return [x, op.attrs.dtype, editor.value(w!).dtype, biasType].join()
}

function merge(editor: GraphEditor, group: readonly Linear[]): void {
  const stack = (operand: 'w' | 'bias'): ValueId => {
    const ids = group.map((op) => op.inputs[operand]!)
    return editor.weight(concat(ids.map((id) => weightExpr(editor, id)!)), editor.value(ids[0]!).dtype)
  }
  const first = group[0]!
  const inputs: Record<string, ValueId> = { x: first.inputs['x']!, w: stack('w') }
  if (first.inputs['bias'] !== undefined) inputs['bias'] = stack('bias')
  const merged = editor.makeOp('linear', mergedOrigin(group), inputs, first.attrs)

  const replacements: Op[] = [merged]
  let start = 0
  for (const op of group) {
    const length = exprShape(weightExpr(editor, op.inputs['w']!)!)[0]!
    const view = editor.makeOp('slice', op.origin, { x: merged.outputs['y']! }, { start, length })
    replacements.push(view)
    start += length
  }
  editor.replace(first, ...replacements)
  for (const op of group.slice(1)) editor.replace(op)
  group.forEach((op, i) => editor.replaceUses(op.outputs['y']!, replacements[i + 1]!.outputs['y']!))
}

/** `layers.0.attn.q_proj`, `…k_proj`, `…v_proj` → `layers.0.attn.q_proj+k_proj+v_proj`. */
function mergedOrigin(group: readonly Linear[]): string {
  const rest = group.slice(1).map((op) => op.origin.split('.').at(-1))
  return [group[0]!.origin, ...rest].join('+')
}
