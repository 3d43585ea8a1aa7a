// The text of a graph, which is the debugging tool, and its Graphviz form. One Llama layer, before any pass.

import { expect, test } from 'vitest'
import { graphToDot, printGraph, printOp } from '../../../src/graph/print.ts'
import { tinyLlama } from '../models/tinyLlama.ts'

const graph = tinyLlama({ numLayers: 1 })

test('a layer prints as one line for each state, value and op', () => {
  expect(printGraph(graph)).toMatchInlineSnapshot(`
    "graph llama
    state sampled: i32[3]
    state layers.0.k_cache: f32[6, 2, 4, 4]
    state layers.0.v_cache: f32[6, 2, 4, 4]
    %0: i32[T, 2] = input tokenSource
    %1: i32[T] = input positions
    %2: i32[T] = input slotMapping
    %3: i32[S+1] = input cuSeqlensQ
    %4: i32[S] = input contextLens
    %5: i32[S, 4] = input blockTables
    %6: i32[R] = input logitsRows
    %7: i32[3] = state sampled
    %9: f32[16, 4] = weight table:rotary({"kind":"default","theta":10000}, 4, 16)
    %10: f32[24, 16] = weight model.embed_tokens.weight
    %12: f32[16] = weight model.layers.0.input_layernorm.weight
    %14: f32[16, 16] = weight model.layers.0.self_attn.q_proj.weight
    %17: f32[8, 16] = weight model.layers.0.self_attn.k_proj.weight
    %20: f32[8, 16] = weight model.layers.0.self_attn.v_proj.weight
    %22: f32[6, 2, 4, 4] = state layers.0.k_cache
    %23: f32[6, 2, 4, 4] = state layers.0.v_cache
    %27: f32[16, 16] = weight model.layers.0.self_attn.o_proj.weight
    %30: f32[16] = weight model.layers.0.post_attention_layernorm.weight
    %32: f32[20, 16] = weight model.layers.0.mlp.gate_proj.weight
    %34: f32[20, 16] = weight model.layers.0.mlp.up_proj.weight
    %38: f32[16, 20] = weight model.layers.0.mlp.down_proj.weight
    %42: f32[16] = weight model.norm.weight
    %44: f32[24, 16] = weight lm_head.weight
    %8: i32[T] = selectTokens(source=%0, sampled=%7)  # tokens
    %11: f32[T, 16] = embedding(table=%10, ids=%8) {dtype=f32}  # embed_tokens
    %13: f32[T, 16] = rmsNorm(x=%11, weight=%12) {dtype=f32, eps=0.00001}  # layers.0.input_norm
    %15: f32[T, 16] = linear(x=%13, w=%14) {dtype=f32, activation=none}  # layers.0.attn.q_proj
    %16: f32[T, 16] = rotary(x=%15, positions=%1, table=%9) {dtype=f32, headDim=4, rotaryDim=4, style=half}  # layers.0.attn.q_rotary
    %18: f32[T, 8] = linear(x=%13, w=%17) {dtype=f32, activation=none}  # layers.0.attn.k_proj
    %19: f32[T, 8] = rotary(x=%18, positions=%1, table=%9) {dtype=f32, headDim=4, rotaryDim=4, style=half}  # layers.0.attn.k_rotary
    %21: f32[T, 8] = linear(x=%13, w=%20) {dtype=f32, activation=none}  # layers.0.attn.v_proj
    %24: f32[6, 2, 4, 4], %25: f32[6, 2, 4, 4] = kvWrite(k=%19, v=%21, slots=%2, kCache=%22, vCache=%23) {numKvHeads=2, headDim=4, blockSize=4}  # layers.0.attn.kv_write
    %26: f32[T, 16] = attention(q=%16, kCache=%24, vCache=%25, blockTables=%5, cuSeqlensQ=%3, contextLens=%4) {numKvHeads=2, headDim=4, blockSize=4, dtype=f32, numHeads=4, scale=0.5}  # layers.0.attn
    %28: f32[T, 16] = linear(x=%26, w=%27) {dtype=f32, activation=none}  # layers.0.attn.o_proj
    %29: f32[T, 16] = add(a=%11, b=%28) {dtype=f32}  # layers.0.attn.residual
    %31: f32[T, 16] = rmsNorm(x=%29, weight=%30) {dtype=f32, eps=0.00001}  # layers.0.post_attention_norm
    %33: f32[T, 20] = linear(x=%31, w=%32) {dtype=f32, activation=none}  # layers.0.mlp.gate_proj
    %35: f32[T, 20] = linear(x=%31, w=%34) {dtype=f32, activation=none}  # layers.0.mlp.up_proj
    %36: f32[T, 20] = silu(x=%33) {dtype=f32}  # layers.0.mlp.act
    %37: f32[T, 20] = mul(a=%36, b=%35) {dtype=f32}  # layers.0.mlp.gated
    %39: f32[T, 16] = linear(x=%37, w=%38) {dtype=f32, activation=none}  # layers.0.mlp.down_proj
    %40: f32[T, 16] = add(a=%29, b=%39) {dtype=f32}  # layers.0.mlp.residual
    %41: f32[R, 16] = gatherRows(x=%40, rows=%6)  # logits_rows
    %43: f32[R, 16] = rmsNorm(x=%41, weight=%42) {dtype=f32, eps=0.00001}  # norm
    %45: f32[R, 24] = linear(x=%43, w=%44) {dtype=f32, activation=none}  # lm_head
    return layers.0.k_cache = %24
    return layers.0.v_cache = %25
    return logits = %45"
  `)
})

test('an op with two outputs lists both', () => {
  const write = graph.ops.find(({ kind }) => kind === 'kvWrite')!
  expect(printOp(graph, write)).toMatch(/^%\d+: f32\[6, 2, 4, 4\], %\d+: f32\[6, 2, 4, 4\] = kvWrite\(/)
})

test('dot has a node for each op, input and state, none for weights, and an edge for each flow', () => {
  const dot = graphToDot(graph)
  const count = (pattern: RegExp): number => [...dot.matchAll(pattern)].length
  const drawn = new Set(graph.values.filter(({ source }) => source.kind !== 'weight').map(({ id }) => id))
  const numFlows = graph.ops.flatMap((op) => Object.values(op.inputs)).filter((id) => drawn.has(id)).length
  expect(count(/^ {2}op\d+ \[label=/gm)).toBe(graph.ops.length)
  expect(count(/^ {2}v\d+ \[/gm)).toBe(graph.inputs.length + graph.states.length)
  expect(count(/ -> op\d+ /g)).toBe(numFlows)
  expect(dot).not.toContain('q_proj.weight')
  expect(dot).not.toContain('undefined')
  expect(dot).toMatch(/^digraph "llama" \{\n[^]*\n\}$/)
})

test('every node of the dot text that an edge names is declared, with an identifier that dot accepts', () => {
  const dot = graphToDot(graph)
  const declared = new Set([...dot.matchAll(/^ {2}(\S+) \[/gm)].map((match) => match[1]!))
  const used = [...dot.matchAll(/^ {2}(\S+) -> (\S+?)(?: \[.*)?;$/gm)].flatMap((match) => [
    match[1]!,
    match[2]!,
  ])
  expect(used.length).toBeGreaterThan(graph.ops.length)
  expect(used.filter((name) => !declared.has(name))).toEqual([])
  // Unquoted identifiers are letters, digits and underscores; a dot in one is a syntax error.
  expect([...declared].filter((name) => !/^(?:\w+|"[^"]*")$/.test(name))).toEqual([])
})
