// Folds what follows a linear into it, in the order in which the kernel applies it: bias, activation, residual.
// A follower is folded only if it is the single reader, so nothing is computed twice.

import type { ValueId } from '../core/brand.ts'
import { GraphEditor } from '../graph/editor.ts'
import type { Op, OpOf } from '../graph/graph.ts'
import type { Pass } from './pass.ts'

type Linear = OpOf<'linear'>

export const fuseEpilogue: Pass = {
  name: 'fuseEpilogue',
  run(graph) {
    const editor = new GraphEditor(graph)
    for (const op of graph.ops) {
      // Until nothing follows: there are chains such as bias → silu → residual.
      let output = op.kind === 'linear' ? op.outputs['y'] : undefined
      while (output !== undefined) output = foldOne(editor, output)
    }
    return editor.finish()
  },
}

/**
 * Replaces the linear that makes `output` and its follower by one op at the follower's place. Returns what that makes;
 * undefined if there is nothing to fold.
 */
function foldOne(editor: GraphEditor, output: ValueId): ValueId | undefined {
  const linear = editor.producer('linear', output)
  const [follower] = editor.readers(output)
  if (linear === undefined || follower === undefined || editor.numUses(output) !== 1) return undefined
  const fused = combine(editor, linear, follower, output)
  if (fused === undefined) return undefined
  editor.replace(linear)
  editor.replace(follower, fused)
  editor.replaceUses(follower.outputs['y']!, fused.outputs['y']!)
  return fused.outputs['y']
}

function combine(editor: GraphEditor, linear: Linear, follower: Op, output: ValueId): Op | undefined {
  const { bias, residual } = linear.inputs
  if (residual !== undefined || linear.attrs.gated === true) return undefined
  const origin = linear.origin
  switch (follower.kind) {
    case 'biasAdd':
      if (bias !== undefined || linear.attrs.activation !== 'none' || follower.inputs['x'] !== output)
        return undefined
      return editor.makeOp(
        'linear',
        origin,
        { ...linear.inputs, bias: follower.inputs['bias']! },
        { ...linear.attrs, dtype: follower.attrs.dtype },
      )
    case 'silu':
      if (linear.attrs.activation !== 'none') return undefined
      return editor.makeOp(
        'linear',
        origin,
        { ...linear.inputs },
        { activation: 'silu', dtype: follower.attrs.dtype },
      )
    case 'add': {
      const { a, b } = follower.inputs
      const other = a === output ? b! : a!
      return editor.makeOp(
        'linear',
        origin,
        { ...linear.inputs, residual: other },
        { ...linear.attrs, dtype: follower.attrs.dtype },
      )
    }
    default:
      return undefined
  }
}
