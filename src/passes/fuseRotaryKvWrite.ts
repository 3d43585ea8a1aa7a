// rotary of queries and keys, and the write of keys and values, over one merged projection → one rotaryKvWrite.

import type { ValueId } from '../core/brand.ts'
import { GraphEditor } from '../graph/editor.ts'
import type { Op, OpOf } from '../graph/graph.ts'
import type { Pass } from './pass.ts'

export const fuseRotaryKvWrite: Pass = {
  name: 'fuseRotaryKvWrite',
  run(graph) {
    const editor = new GraphEditor(graph)
    for (const op of graph.ops) if (op.kind === 'kvWrite') fuse(editor, op.outputs['kNext']!)
    return editor.finish()
  },
}

function fuse(editor: GraphEditor, written: ValueId): void {
  const write = editor.producer('kvWrite', written)
  const attention = editor.readers(written).find((op) => op.kind === 'attention')
  if (write === undefined || attention === undefined) return
  const q = editor.producer('rotary', attention.inputs['q']!)
  const k = editor.producer('rotary', write.inputs['k']!)
  if (q === undefined || k === undefined || !isSameRotation(q, k)) return
  if ([q, k].some((op) => editor.numUses(op.outputs['y']!) !== 1)) return
  const parts = [q.inputs['x']!, k.inputs['x']!, write.inputs['v']!].map((id) => editor.producer('slice', id))
  const merged = wholeOf(editor, parts)
  if (merged === undefined) return

  const { headDim, rotaryDim, dtype } = q.attrs
  const numHeads = parts[0]!.attrs.length / headDim
  const { positions, table } = q.inputs
  const { slots, kCache, vCache } = write.inputs
  const inputs = {
    x: merged,
    positions: positions!,
    table: table!,
    slots: slots!,
    kCache: kCache!,
    vCache: vCache!,
  }
  const fused: Op = {
    kind: 'rotaryKvWrite',
    origin: write.origin,
    inputs,
    // The versions of the states that kvWrite made are now made here.
    outputs: { y: q.outputs['y']!, ...write.outputs },
    attrs: { ...write.attrs, dtype, numHeads, rotaryDim, headDim },
  }
  editor.replace(q)
  editor.replace(k)
  editor.replace(write, fused)
}

function isSameRotation(q: OpOf<'rotary'>, k: OpOf<'rotary'>): boolean {
  const keys = ['positions', 'table'] as const
  return (
    q.attrs.style === 'half' &&
    JSON.stringify(q.attrs) === JSON.stringify(k.attrs) &&
    keys.every((name) => q.inputs[name] === k.inputs[name])
  )
}

/** The value that queries, keys and values are the consecutive columns of. */
function wholeOf(editor: GraphEditor, parts: readonly (OpOf<'slice'> | undefined)[]): ValueId | undefined {
  let end = 0
  for (const part of parts) {
    if (part?.attrs.start !== end || part.inputs['x'] !== parts[0]?.inputs['x']) return undefined
    end += part.attrs.length
  }
  const merged = parts[0]?.inputs['x']
  return merged !== undefined && editor.value(merged).shape[1] === end ? merged : undefined
}
