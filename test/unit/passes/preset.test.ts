// The inference preset on a Llama graph: what is left of a layer, and that the numbers stay the same after each pass.

import { describe, expect, test } from 'vitest'
import { createReferenceDevice } from '../../../src/device/reference/reference.ts'
import type { Graph } from '../../../src/graph/graph.ts'
import type { OpKind } from '../../../src/graph/ops/index.ts'
import { printOp } from '../../../src/graph/print.ts'
import { verifyGraph } from '../../../src/graph/verify.ts'
import { inferencePasses, runPasses, type Pass } from '../../../src/passes/index.ts'
import { expectClose } from '../../helpers/close.ts'
import { runGraph } from '../../helpers/runGraph.ts'
import { tinyDims, tinyLlama, tinyStep, withRandomWeights } from '../models/tinyLlama.ts'

/** How many ops of each kind the layer has. */
function countLayer(graph: Graph, layer: number): Partial<Record<OpKind, number>> {
  const counts: Partial<Record<OpKind, number>> = {}
  for (const { kind, origin } of graph.ops) {
    if (origin.startsWith(`layers.${layer}.`)) counts[kind] = (counts[kind] ?? 0) + 1
  }
  return counts
}

describe('a layer of Llama', () => {
  test('has one op for each step of the model before the passes', () => {
    expect(countLayer(tinyLlama(), 1)).toEqual({
      rmsNorm: 2,
      linear: 7,
      rotary: 2,
      kvWrite: 1,
      attention: 1,
      add: 2,
      silu: 1,
      mul: 1,
    })
  })

  test.each([
    { name: 'without biases', biases: false },
    { name: 'with biases', biases: true },
  ])('$name has four linears, one of them gated, and no views after them', ({ biases }) => {
    const before = tinyLlama({ qkvBias: biases, outputBias: biases, mlpBias: biases })
    expect(countLayer(before, 0).biasAdd).toBe(biases ? 7 : undefined)
    const after = runPasses(before, inferencePasses, true)
    for (const layer of [0, 1]) {
      expect(countLayer(after, layer)).toEqual({
        rmsNorm: 2,
        linear: 4,
        rotaryKvWrite: 1,
        attention: 1,
      })
    }
    const linears = after.ops.filter((op) => op.kind === 'linear' && op.origin.startsWith('layers.0.'))
    const bias = biases ? ['bias'] : []
    expect(linears.map(({ origin, inputs }) => [origin, Object.keys(inputs)])).toEqual([
      ['layers.0.attn.q_proj+k_proj+v_proj', ['x', 'w', ...bias]],
      ['layers.0.attn.o_proj', ['x', 'w', ...bias, 'residual']],
      ['layers.0.mlp.gate_proj+up_proj', ['x', 'w', ...bias]],
      ['layers.0.mlp.down_proj', ['x', 'w', ...bias, 'residual']],
    ])
  })

  test('reads as the fused model', () => {
    const after = runPasses(tinyLlama({ numLayers: 1 }), inferencePasses, true)
    expect(after.ops.map((op) => printOp(after, op)).join('\n')).toMatchInlineSnapshot(`
      "%8: i32[T] = selectTokens(source=%0, sampled=%7)  # tokens
      %11: f32[T, 16] = embedding(table=%10, ids=%8) {dtype=f32}  # embed_tokens
      %13: f32[T, 16] = rmsNorm(x=%11, weight=%12) {dtype=f32, eps=0.00001}  # layers.0.input_norm
      %32: f32[T, 32] = linear(x=%13, w=%31) {dtype=f32, activation=none}  # layers.0.attn.q_proj+k_proj+v_proj
      %14: f32[T, 16], %17: f32[6, 2, 4, 4], %18: f32[6, 2, 4, 4] = rotaryKvWrite(x=%32, positions=%1, table=%9, slots=%2, kCache=%15, vCache=%16) {numKvHeads=2, headDim=4, blockSize=4, dtype=f32, numHeads=4, rotaryDim=4}  # layers.0.attn.kv_write
      %19: f32[T, 16] = attention(q=%14, kCache=%17, vCache=%18, blockTables=%5, cuSeqlensQ=%3, contextLens=%4) {numKvHeads=2, headDim=4, blockSize=4, dtype=f32, numHeads=4, scale=0.5}  # layers.0.attn
      %29: f32[T, 16] = linear(x=%19, w=%20, residual=%11) {dtype=f32, activation=none}  # layers.0.attn.o_proj
      %22: f32[T, 16] = rmsNorm(x=%29, weight=%21) {dtype=f32, eps=0.00001}  # layers.0.post_attention_norm
      %34: f32[T, 20] = linear(x=%22, w=%33) {dtype=f32, activation=silu, gated=true}  # layers.0.mlp.gate_proj+up_proj
      %30: f32[T, 16] = linear(x=%34, w=%23, residual=%29) {dtype=f32, activation=none}  # layers.0.mlp.down_proj
      %24: f32[R, 16] = gatherRows(x=%30, rows=%6)  # logits_rows
      %26: f32[R, 16] = rmsNorm(x=%24, weight=%25) {dtype=f32, eps=0.00001}  # norm
      %28: f32[R, 24] = linear(x=%26, w=%27) {dtype=f32, activation=none}  # lm_head"
    `)
  })
})

describe('each pass in turn', () => {
  test.each([
    { name: 'plain', config: {}, dtype: 'f32' },
    { name: 'biases', config: { qkvBias: true, outputBias: true, mlpBias: true }, dtype: 'f32' },
    { name: 'tied embeddings', config: { tieWordEmbeddings: true }, dtype: 'f32' },
    // The reference ignores rounding, so an f16 graph shows the same numbers and other fusions.
    { name: 'f16', config: {}, dtype: 'f16' },
  ] as const)('leaves the numbers of $name as they were', async ({ config, dtype }) => {
    const options = { dims: tinyDims, values: tinyStep }
    let graph = withRandomWeights(tinyLlama(config, { dtype }))
    verifyGraph(graph)
    const expected = await runGraph(createReferenceDevice(), graph, options)
    const { data } = expected['logits']!
    expect(data.some((value) => Math.abs(value) > 0.1)).toBe(true)
    const numOps = [graph.ops.length]
    for (const pass of inferencePasses) {
      graph = pass.run(graph)
      verifyGraph(graph)
      numOps.push(graph.ops.length)
      const actual = await runGraph(createReferenceDevice(), graph, options)
      expect(Object.keys(actual)).toEqual(Object.keys(expected))
      for (const name of Object.keys(expected))
        expectClose(actual[name]!.data, expected[name]!.data, 1e-12, `${pass.name} ${name}`)
    }
    expect(numOps.at(-1)).toBeLessThan(numOps[0]!)
  })

  test('is idempotent as a preset', () => {
    const once = runPasses(tinyLlama({}, { head: 'sample' }), inferencePasses, true)
    expect(runPasses(once, inferencePasses, true)).toEqual(once)
  })
})

describe('runPasses', () => {
  const breaks: Pass = { name: 'breaks', run: (graph) => ({ ...graph, ops: graph.ops.slice(1) }) }

  test('runs passes in order', () => {
    const seen: string[] = []
    const named = (name: string): Pass => ({ name, run: (graph) => (seen.push(name), graph) })
    const graph = tinyLlama()
    expect(runPasses(graph, [named('a'), named('b')])).toBe(graph)
    expect(seen).toEqual(['a', 'b'])
  })

  test('verifies the graph it is given and what each pass made, when asked', () => {
    const graph = tinyLlama()
    const broken = breaks.run(graph)
    expect(() => runPasses(graph, [breaks], true)).toThrow('[graph/structure]')
    expect(() => runPasses(broken, [], true)).toThrow('[graph/structure]')
    expect(runPasses(graph, [breaks])).toEqual(broken)
  })
})
