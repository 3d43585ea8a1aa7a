// mul(silu(gate), up) → swiglu(gate, up), where nobody else reads the silu.

import { GraphEditor } from '../graph/editor.ts'
import type { OpOf } from '../graph/graph.ts'
import type { Pass } from './pass.ts'

export const fuseGatedActivation: Pass = {
  name: 'fuseGatedActivation',
  run(graph) {
    const editor = new GraphEditor(graph)
    for (const { outputs } of graph.ops) {
      const activated = outputs['y']
      // Looked up anew: a fusion replaces the readers of its result, other silus among them.
      const silu = activated === undefined ? undefined : editor.producer('silu', activated)
      if (activated === undefined || silu === undefined || editor.numUses(activated) !== 1) continue
      const mul = editor.readers(activated).find((op): op is OpOf<'mul'> => op.kind === 'mul')
      if (mul === undefined) continue
      const up = mul.inputs['a'] === activated ? mul.inputs['b']! : mul.inputs['a']!
      const inputs = { a: silu.inputs['x']!, b: up }
      const fused = editor.makeOp('swiglu', mul.origin, inputs, { dtype: mul.attrs.dtype })
      editor.replace(mul, fused)
      editor.replaceUses(mul.outputs['y']!, fused.outputs['y']!)
    }
    return editor.finish()
  },
}
