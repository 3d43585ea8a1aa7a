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
    // In execution order each linear is a follower's input before it becomes an input itself; folding until nothing
    // follows handles chains such as bias → silu → residual.
    for (let index = 0; index < editor.ops.length; index++) {
      const op = editor.ops[index]!
      if (op.kind === 'linear' && foldOne(editor, op)) index--
    }
    return editor.finish()
  },
}

/** Replaces a linear and its follower by one op at the follower's place; false if there is nothing to fold. */
function foldOne(editor: GraphEditor, linear: Linear): boolean {
  const output = linear.outputs['y']!
  if (editor.numUses(output) !== 1) return false
  const follower = editor.ops.find((op) => Object.values(op.inputs).includes(output))
  if (follower === undefined) return false
  const fused = combine(editor, linear, follower, output)
  if (fused === undefined) return false
  editor.ops = editor.ops.filter((op) => op !== linear).map((op) => (op === follower ? fused : op))
  editor.replaceUses(follower.outputs['y']!, fused.outputs['y']!)
  return true
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
