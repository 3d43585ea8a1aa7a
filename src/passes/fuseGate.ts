// swiglu over the two halves of one merged linear → the same linear, gated: the halves never leave the kernel.

import { GraphEditor } from '../graph/editor.ts'
import type { OpOf } from '../graph/graph.ts'
import type { Pass } from './pass.ts'

export const fuseGate: Pass = {
  name: 'fuseGate',
  run(graph) {
    const editor = new GraphEditor(graph)
    for (const { kind, outputs } of graph.ops) {
      // Looked up anew: a fusion replaces the readers of its result.
      const swiglu = kind === 'swiglu' ? editor.producer(kind, outputs['y']!) : undefined
      if (swiglu === undefined) continue
      const linear = gatedLinear(editor, swiglu)
      if (linear === undefined) continue
      const attrs = { dtype: swiglu.attrs.dtype, activation: 'silu', gated: true } as const
      const fused = editor.makeOp('linear', linear.origin, { ...linear.inputs }, attrs)
      editor.replace(swiglu, fused)
      editor.replaceUses(swiglu.outputs['y']!, fused.outputs['y']!)
    }
    return editor.finish()
  },
}

/** The linear whose first half gates its second in `swiglu`, if nobody else reads either half. */
function gatedLinear(editor: GraphEditor, swiglu: OpOf<'swiglu'>): OpOf<'linear'> | undefined {
  const gate = editor.producer('slice', swiglu.inputs['a']!)
  const up = editor.producer('slice', swiglu.inputs['b']!)
  if (gate === undefined || up === undefined || gate.inputs['x'] !== up.inputs['x']) return undefined
  const { length } = gate.attrs
  if (gate.attrs.start !== 0 || up.attrs.start !== length || up.attrs.length !== length) return undefined
  const merged = gate.inputs['x']!
  if (editor.value(merged).shape[1] !== 2 * length || editor.numUses(merged) !== 2) return undefined
  if ([gate, up].some((half) => editor.numUses(half.outputs['y']!) !== 1)) return undefined
  const linear = editor.producer('linear', merged)
  const isPlain = linear?.attrs.activation === 'none' && linear.inputs['residual'] === undefined
  return isPlain ? linear : undefined
}
