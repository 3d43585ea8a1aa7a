// mul(silu(gate), up) → swiglu(gate, up), where nobody else reads the silu.

import { GraphEditor } from '../graph/editor.ts'
import type { OpOf } from '../graph/graph.ts'
import type { Pass } from './pass.ts'

export const fuseGatedActivation: Pass = {
  name: 'fuseGatedActivation',
  run(graph) {
    const editor = new GraphEditor(graph)
    // By index, since a fusion replaces the ops that read its result, other silus among them.
    for (let index = 0; index < editor.ops.length; index++) {
      const silu = editor.ops[index]!
      if (silu.kind !== 'silu') continue
      const activated = silu.outputs['y']!
      if (editor.numUses(activated) !== 1) continue
      const mul = editor.ops.find(
        (op): op is OpOf<'mul'> => op.kind === 'mul' && Object.values(op.inputs).includes(activated),
      )
      if (mul === undefined) continue
      const up = mul.inputs['a'] === activated ? mul.inputs['b']! : mul.inputs['a']!
      const fused = editor.makeOp(
        'swiglu',
        mul.origin,
        { a: silu.inputs['x']!, b: up },
        { dtype: mul.attrs.dtype },
      )
      editor.ops = editor.ops.map((op) => (op === mul ? fused : op))
      editor.replaceUses(mul.outputs['y']!, fused.outputs['y']!)
    }
    return editor.finish()
  },
}
