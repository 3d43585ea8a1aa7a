// A graph under edit: look-ups follow every change, ops keep their order, and passes over many layers stay cheap.

import { expect, test } from 'vitest'
import { syntheticSpec } from '../../../src/bench/synthetic.ts'
import { GraphBuilder } from '../../../src/graph/builder.ts'
import { GraphEditor } from '../../../src/graph/editor.ts'
import type { Graph } from '../../../src/graph/graph.ts'
import { verifyGraph } from '../../../src/graph/verify.ts'
import { inferencePassesFor, runPasses } from '../../../src/passes/index.ts'

const f32 = { dtype: 'f32' } as const

/** x → silu a → add b = a + a → mul c = a · b; outputs a and c. */
function small(): Graph {
  const b = new GraphBuilder('small')
  const x = b.input('x', 'f32', [2, 4])
  const a = b.apply('silu', 'a', { x }, f32)
  const sum = b.apply('add', 'b', { a, b: a }, f32)
  const c = b.apply('mul', 'c', { a, b: sum }, f32)
  b.output('first', a)
  b.output('last', c)
  return b.finish()
}

test('counts every read of a value, outputs included, before and after its uses are replaced', () => {
  const graph = small()
  const editor = new GraphEditor(graph)
  const [a, sum, c] = graph.ops.map((op) => op.outputs['y']!)
  expect([a, sum, c].map((id) => editor.numUses(id!))).toEqual([4, 1, 1])
  expect([a, sum, c].map((id) => editor.isOutput(id!))).toEqual([true, false, true])
  editor.replaceUses(a!, sum!)
  expect([a, sum, c].map((id) => editor.numUses(id!))).toEqual([0, 5, 1])
  expect([a, sum].map((id) => editor.isOutput(id!))).toEqual([false, true])
  expect(
    editor
      .readers(sum!)
      .map(({ origin }) => origin)
      .sort(),
  ).toEqual(['b', 'c'])
  expect(editor.producer('add', sum!)?.inputs).toEqual({ a: sum, b: sum })
  expect(editor.finish().outputs).toEqual({ first: sum, last: c })
})

test('puts ops in the place of others and takes them away', () => {
  const graph = small()
  const editor = new GraphEditor(graph)
  const [silu, add, mul] = graph.ops
  const x = silu!.inputs['x']!
  const twice = [0, 1].map((index) => editor.makeOp('silu', `s${index}`, { x }, f32))
  editor.replace(add!, ...twice)
  editor.replaceUses(add!.outputs['y']!, twice[1]!.outputs['y']!)
  expect(editor.ops.map(({ origin }) => origin)).toEqual(['a', 's0', 's1', 'c'])
  expect(editor.producer('add', add!.outputs['y']!)).toBeUndefined()
  // The multiplication has been replaced by one that reads the new value, and is found by its result.
  expect(editor.producer('mul', mul!.outputs['y']!)?.inputs['b']).toBe(twice[1]!.outputs['y'])
  editor.replace(twice[0]!)
  expect(editor.numUses(x)).toBe(2)
  const edited = editor.finish()
  expect(edited.ops.map(({ origin }) => origin)).toEqual(['a', 's1', 'c'])
  verifyGraph(edited)
})

test('passes over eight times the layers take about eight times as long', { retry: 3 }, () => {
  const options = {
    dtype: 'f16',
    maxSeqLen: 64,
    blockSize: 16,
    numBlocks: 4,
    maxNumSeqs: 1,
    head: 'sample',
  } as const
  const cpuMs = (layers: number): number => {
    const graph = syntheticSpec('synthetic:llama-15m', layers).graph(options)
    const begin = process.cpuUsage()
    runPasses(graph, inferencePassesFor(2 ** 27))
    const { user, system } = process.cpuUsage(begin)
    return (user + system) / 1000
  }
  cpuMs(20)
  // A scan of all ops for each of them would make it 64 times as long.
  expect(cpuMs(320) / cpuMs(40)).toBeLessThan(20)
})
