// Plans of a tiny Llama: where values lie, what is dispatched, which limits are checked, and the text of a plan.

import { describe, expect, test } from 'vitest'
import type { BufferId } from '../../../src/core/brand.ts'
import { RuntimeFault } from '../../../src/core/errors.ts'
import { GraphBuilder } from '../../../src/graph/builder.ts'
import { evalDim, symbol, type DimEnv } from '../../../src/graph/dim.ts'
import type { Graph } from '../../../src/graph/graph.ts'
import { opDef } from '../../../src/graph/ops/index.ts'
import { tensor } from '../../../src/graph/weightExpr.ts'
import { wgslKernels } from '../../../src/kernels/index.ts'
import { inferencePasses, mergeLinears, runPasses } from '../../../src/passes/index.ts'
import { weightKey } from '../../../src/plan/place.ts'
import { checkDispatch, makePlan } from '../../../src/plan/plan.ts'
import { memoryOf, printPlan } from '../../../src/plan/print.ts'
import { tensorBytes, type Capabilities, type Plan } from '../../../src/plan/types.ts'
import { minimalCapabilities, tinyLlama } from '../models/tinyLlama.ts'

const maxima: DimEnv = { T: 8, S: 3, R: 3 }

function planOf(graph: Graph, more: { capabilities?: Partial<Capabilities>; maxima?: DimEnv } = {}): Plan {
  const capabilities = { ...minimalCapabilities, ...more.capabilities }
  return makePlan(graph, { kernels: wgslKernels, capabilities, maxima: more.maxima ?? maxima })
}

const fused = (head: 'sample' | 'logits' = 'sample'): Graph =>
  runPasses(tinyLlama({}, { head }), inferencePasses)
const plan = planOf(fused())

describe('dispatches', () => {
  test('are one for each op that is no view', () => {
    const graph = runPasses(tinyLlama(), [mergeLinears])
    const ops = graph.ops.filter(({ kind }) => opDef(kind).view !== true)
    expect(ops.length).toBeLessThan(graph.ops.length)
    const { dispatches } = planOf(graph)
    expect(dispatches.map(({ origin }) => origin)).toEqual(ops.map(({ origin }) => origin))
    expect(dispatches.map(({ op }) => op)).not.toContain('slice')
  })

  test.each([
    { name: 'after the passes', graph: fused() },
    { name: 'before the passes', graph: tinyLlama() },
    { name: 'in f16', graph: runPasses(tinyLlama({ mlpBias: true }, { dtype: 'f16' }), inferencePasses) },
  ])('never read and write the same buffer, $name', ({ graph }) => {
    const { dispatches } = planOf(graph)
    expect(dispatches.length).toBeGreaterThan(20)
    for (const { bindings } of dispatches) {
      const written = bindings.filter(({ access }) => access === 'read_write').map(({ buffer }) => buffer)
      const read = bindings.filter(({ access }) => access === 'read').map(({ buffer }) => buffer)
      expect(written.length).toBeGreaterThan(0)
      expect(new Set(written).size).toBe(written.length)
      expect(read.filter((buffer) => written.includes(buffer))).toEqual([])
    }
  })

  test('share a shader, text and line map, where theirs are equal', () => {
    const shaders = plan.dispatches.map(({ shader }) => shader)
    expect(new Set(shaders).size).toBe(new Set(shaders.map(({ code }) => code)).size)
    expect(new Set(shaders).size).toBeLessThan(shaders.length)
  })

  test.each(['software', 'gpu'] as const)(
    'need no other shaders for another size of KV cache: %s',
    (adapterClass) => {
      const codes = (numBlocks: number): Set<string> => {
        const graph = runPasses(tinyLlama({}, { head: 'logits', numBlocks }), inferencePasses)
        const capabilities = { adapterClass, subgroups: true, subgroupSize: 8 }
        return new Set(planOf(graph, { capabilities }).dispatches.map(({ shader }) => shader.code))
      }
      expect(codes(3)).toEqual(codes(7))
    },
  )

  test('bind inside their buffers, at offsets that adapters accept', () => {
    for (const { bindings } of plan.dispatches) {
      for (const { buffer, offset, bytes } of bindings) {
        expect(offset % minimalCapabilities.bindingAlignment).toBe(0)
        expect(bytes % 4).toBe(0)
        expect(offset + bytes).toBeLessThanOrEqual(plan.buffers[buffer]!.bytes)
      }
    }
  })

  test('read what an earlier one wrote, and not what another one wrote over it', () => {
    // Follows the contents of each buffer through the plan: reading must find the value that the graph means.
    const { graph, dispatches, buffers } = plan
    const contents = new Map<BufferId, string>()
    const base = new Map<number, number>()
    const ops = graph.ops.filter((op) => {
      if (op.kind !== 'slice') return true
      base.set(op.outputs['y']!, base.get(op.inputs['x']!) ?? op.inputs['x']!)
      return false
    })
    let numChecked = 0
    dispatches.forEach(({ bindings, origin }, index) => {
      const op = ops[index]!
      const reads = bindings.filter(({ access }) => access === 'read')
      const expected = Object.values(op.inputs).map((id) => String(base.get(id) ?? id))
      for (const { buffer } of reads) {
        if (buffers[buffer]!.role !== 'arena') continue
        expect({ origin, values: expected }).toMatchObject({
          values: expect.arrayContaining([contents.get(buffer)]) as unknown,
        })
        numChecked++
      }
      const writes = bindings.filter(({ access }) => access === 'read_write')
      Object.values(op.outputs).forEach((id, i) => contents.set(writes[i]!.buffer, String(id)))
    })
    expect(numChecked).toBeGreaterThan(20)
  })

  test('have grids that shrink with the step', () => {
    const grids = plan.dispatches.map(({ grid }) => grid.map((dim) => evalDim(dim, { T: 1, S: 1, R: 1 })))
    const largest = plan.dispatches.map(({ grid }) => grid.map((dim) => evalDim(dim, maxima)))
    grids.forEach((grid, i) =>
      grid.forEach((count, axis) => expect(count).toBeLessThanOrEqual(largest[i]![axis]!)),
    )
    expect(grids).not.toEqual(largest)
  })
})

describe('checkDispatch', () => {
  const dispatch = plan.dispatches.find(({ op }) => op === 'linear')!
  const output = dispatch.bindings.find(({ access }) => access === 'read_write')!

  test('accepts what the planner made', () => {
    expect(() => checkDispatch(dispatch, maxima, minimalCapabilities)).not.toThrow()
  })

  test('rejects a buffer that is read and written', () => {
    const bindings = [...dispatch.bindings, { ...output, access: 'read' as const }]
    expect(() => checkDispatch({ ...dispatch, bindings }, maxima, minimalCapabilities)).toThrow(
      /^\[plan\/alias\] layers\.0\.attn\.q_proj\+k_proj\+v_proj \(linear_rows\): expected each written buffer bound once/,
    )
  })

  test('rejects them even at disjoint ranges', () => {
    const bindings = [
      ...dispatch.bindings.filter((binding) => binding !== output),
      { ...output, offset: 0, bytes: 256 },
      { ...output, offset: 256, bytes: 256, access: 'read' as const },
    ]
    expect(() => checkDispatch({ ...dispatch, bindings }, maxima, minimalCapabilities)).toThrow(
      '[plan/alias]',
    )
  })

  test('rejects a buffer that is written twice', () => {
    const bindings = [...dispatch.bindings, output]
    expect(() => checkDispatch({ ...dispatch, bindings }, maxima, minimalCapabilities)).toThrow(
      '[plan/alias]',
    )
  })

  test('rejects more workgroups in a dimension than the limit, and accepts as many', () => {
    const check = (count: number) => (): void =>
      checkDispatch({ ...dispatch, grid: [1, count, 1] }, maxima, minimalCapabilities)
    expect(check(65_535)).not.toThrow()
    expect(check(65_536)).toThrow(
      '[plan/limit] layers.0.attn.q_proj+k_proj+v_proj (linear_rows): expected at most 65535',
    )
  })
})

describe('buffers', () => {
  test('are numbered by their place', () => {
    expect(plan.buffers.map(({ id }) => id)).toEqual(plan.buffers.map((_, index) => index))
  })

  test('of weights hold every weight once, under the key that plans share them by', () => {
    const weights = plan.buffers.filter((buffer) => buffer.role === 'weight')
    const values = plan.graph.values.filter(({ source }) => source.kind === 'weight')
    expect(weights.map(({ key }) => key)).toEqual(values.map(weightKey))
    expect(new Set(weights.map(({ key }) => key)).size).toBe(weights.length)
    expect(weights.map(({ key }) => key)).toContain(
      'f32 concat(model.layers.0.self_attn.q_proj.weight, model.layers.0.self_attn.k_proj.weight, model.layers.0.self_attn.v_proj.weight)',
    )
  })

  test('of states are one for each state, whatever its versions', () => {
    const states = plan.buffers.filter((buffer) => buffer.role === 'state')
    expect(states.map(({ state }) => state)).toEqual(plan.graph.states.map(({ id }) => id))
    for (const { kCache, vCache } of [{ kCache: 'layers.0.k_cache', vCache: 'layers.0.v_cache' }]) {
      const locations = [plan.outputs[kCache]!, plan.outputs[vCache]!]
      expect(locations.map(({ buffer }) => plan.buffers[buffer]!.label)).toEqual([kCache, vCache])
    }
  })

  test('of the arena have slots in order, none larger than it must be', () => {
    const arena = plan.buffers.filter((buffer) => buffer.role === 'arena')
    expect(arena.map(({ slot }) => slot)).toEqual(arena.map((_, index) => index))
    const scratch = plan.graph.values.filter(
      ({ source, state }) => source.kind === 'op' && state === undefined,
    )
    expect(arena.length).toBeLessThan(scratch.length / 2)
    // The widest activation is queries, keys and values of eight tokens.
    expect(Math.max(...arena.map(({ bytes }) => bytes))).toBe(8 * 32 * 4)
  })

  test('sum up by role', () => {
    const sums = memoryOf(plan)
    const total = plan.buffers.reduce((sum, { bytes }) => sum + bytes, 0)
    expect(sums.weight + sums.state + sums.arena + sums.step).toBe(total)
    // 2 layers × 2 caches of 6 blocks × 2 heads × 4 tokens × 4 dims, three sampled ids and the counts of their
    // sequences' 24 tokens, in four bytes each.
    expect(sums.state).toBe((2 * 2 * 6 * 2 * 4 * 4 + 3 + 3 * 24) * 4)
    const perLayer = 16 * (32 + 16 + 40 + 20) + 2 * 16
    expect(sums.weight).toBe((2 * perLayer + 2 * 24 * 16 + 16 + 16 * 4) * 4)
    expect(sums.step).toBe(plan.step.words * 4)
  })

  test('grow with the maxima only where they must', () => {
    const large = memoryOf(planOf(fused(), { maxima: { ...maxima, T: 16 } }))
    const small = memoryOf(plan)
    expect({ ...large, arena: 0, step: 0 }).toEqual({ ...small, arena: 0, step: 0 })
    expect(large.arena).toBeGreaterThan(small.arena)
  })
})

describe('tensorBytes', () => {
  test.each([
    [3, 'f32', 12],
    [4, 'f16', 8],
    [3, 'f16', 8],
    [1, 'f16', 4],
    [5, 'i32', 20],
    [0, 'f32', 0],
  ] as const)('of %i %s elements are %i', (elements, dtype, bytes) => {
    expect(tensorBytes(elements, dtype)).toBe(bytes)
  })
})

describe('the step layout', () => {
  test('has a field for each input, aligned to 256 bytes, behind the dims', () => {
    const { fields, words } = plan.step
    expect(fields.map(({ name }) => name)).toEqual(plan.graph.inputs.map((id) => plan.graph.values[id]!.name))
    expect(fields).toHaveLength(15)
    let end = 3
    for (const { offset, capacity } of fields) {
      expect((offset * 4) % 256).toBe(0)
      expect(offset).toBeGreaterThanOrEqual(end)
      end = offset + capacity
    }
    expect(words).toBeGreaterThanOrEqual(end)
  })

  test('gives each field room for the largest step', () => {
    const capacities = Object.fromEntries(plan.step.fields.map(({ name, capacity }) => [name, capacity]))
    expect(capacities).toMatchObject({
      tokenSource: 16,
      positions: 8,
      cuSeqlensQ: 4,
      blockTables: 12,
      seed: 6,
    })
  })
})

describe('limits', () => {
  const largest = Math.max(...plan.buffers.map(({ bytes }) => bytes))

  test.each(['maxBindingBytes', 'maxBufferBytes'] as const)(
    'of %s hold the largest buffer exactly',
    (limit) => {
      planOf(fused(), { capabilities: { [limit]: largest } })
      expect(() => planOf(fused(), { capabilities: { [limit]: largest - 1 } })).toThrow(RuntimeFault)
    },
  )

  test('name the buffer that is too large', () => {
    expect(() =>
      planOf(fused(), { capabilities: { maxBindingBytes: 3000 } }),
    ).toThrowErrorMatchingInlineSnapshot(
      `[RuntimeFault: [plan/limit] step step: expected at most 3000 bytes in one binding, got 5120 bytes. Use a smaller model, maxSeqLen or batch, or an adapter with larger bindings.]`,
    )
  })

  test('of workgroups are checked for the largest step', () => {
    planOf(fused(), { capabilities: { maxWorkgroupsPerDimension: 8 } })
    expect(() => planOf(fused(), { capabilities: { maxWorkgroupsPerDimension: 7 } })).toThrow('[plan/limit]')
  })
})

describe('views', () => {
  const T = symbol('T')

  /** x [T, 12] with a view of its columns 4 to 12, of which columns 2 to 6 are viewed again. */
  function viewPlan(): Plan {
    const b = new GraphBuilder('views')
    const ids = b.input('ids', 'i32', [T])
    const table = b.weight(tensor('table', [5, 12]), 'f32')
    const x = b.apply('embedding', 'embed', { table, ids }, { dtype: 'f32' })
    const outer = b.apply('slice', 'outer', { x }, { start: 4, length: 8 })
    const inner = b.apply('slice', 'inner', { x: outer }, { start: 2, length: 4 })
    const other = b.apply('silu', 'other', { x }, { dtype: 'f32' })
    const y = b.apply('silu', 'act', { x: inner }, { dtype: 'f32' })
    b.output('inner', inner)
    b.output('other', other)
    b.output('y', y)
    return planOf(b.finish())
  }

  test('lie in the buffer of what they look at, with its stride and their offset', () => {
    const { outputs } = viewPlan()
    expect(outputs['inner']).toMatchObject({ rowStride: 12, offset: 6, shape: [T, 4] })
    expect(outputs['y']).toMatchObject({ rowStride: 4, offset: 0 })
  })

  test('keep what they look at alive', () => {
    const { outputs } = viewPlan()
    const buffers = ['inner', 'other', 'y'].map((name) => outputs[name]!.buffer)
    expect(new Set(buffers).size).toBe(3)
  })
})

describe('a plan', () => {
  test('is the same each time it is made', () => {
    expect(printPlan(planOf(fused()))).toBe(printPlan(plan))
  })

  test('prints its step, buffers, dispatches and results', () => {
    const graph = runPasses(tinyLlama({ numLayers: 1 }, { head: 'logits' }), inferencePasses)
    expect(printPlan(planOf(graph))).toMatchInlineSnapshot(`
      "plan llama for T ≤ 8, S ≤ 3, R ≤ 3
      step +256 tokenSource: 16 words
      step +512 positions: 8 words
      step +768 slotMapping: 8 words
      step +1024 cuSeqlensQ: 4 words
      step +1280 contextLens: 3 words
      step +1536 blockTables: 12 words
      step +1792 logitsRows: 3 words
      b0 step step: 2048 bytes
      b1 state sampled: 12 bytes
      b2 state layers.0.k_cache: 768 bytes
      b3 state layers.0.v_cache: 768 bytes
      b4 weight table:rotary({"kind":"default","theta":10000}, 4, 16): 256 bytes
      b5 weight model.embed_tokens.weight: 1536 bytes
      b6 weight model.layers.0.input_layernorm.weight: 64 bytes
      b7 weight model.layers.0.self_attn.o_proj.weight: 1024 bytes
      b8 weight model.layers.0.post_attention_layernorm.weight: 64 bytes
      b9 weight model.layers.0.mlp.down_proj.weight: 1280 bytes
      b10 weight model.norm.weight: 64 bytes
      b11 weight lm_head.weight: 1536 bytes
      b12 weight concat(model.layers.0.self_attn.q_proj.weight, model.layers.0.self_attn.k_proj.weight, model.layers.0.self_attn.v_proj.weight): 2048 bytes
      b13 weight concat(model.layers.0.mlp.gate_proj.weight, model.layers.0.mlp.up_proj.weight): 2560 bytes
      b14 arena arena0: 1024 bytes
      b15 arena arena1: 512 bytes
      b16 arena arena2: 512 bytes
      selectTokens  [ceil(T/64), 1, 1]  read b0+256, read b1+0, read_write b14+0  # tokens
      embedding  [1, T, 1]  read b5+0, read b14+0, read_write b15+0  # embed_tokens
      rms_norm  [T, 1, 1]  read b15+0, read b6+0, read_write b16+0  # layers.0.input_norm
      linear_rows  [1, ceil(T/4), 1]  read b16+0, read b12+0, read_write b14+0  # layers.0.attn.q_proj+k_proj+v_proj
      rotary_kv_write  [1, T, 1]  read b14+0, read b0+512, read b4+0, read b0+768, read_write b16+0, read_write b2+0, read_write b3+0  # layers.0.attn.kv_write
      attention_rows  [2, ceil(T/2), 1]  read b16+0, read b2+0, read b3+0, read b0+1536, read b0+1024, read b0+1280, read_write b14+0  # layers.0.attn
      linear_rows  [1, ceil(T/4), 1]  read b14+0, read b7+0, read b15+0, read_write b16+0  # layers.0.attn.o_proj
      rms_norm  [T, 1, 1]  read b16+0, read b8+0, read_write b15+0  # layers.0.post_attention_norm
      linear_rows  [1, ceil(T/4), 1]  read b15+0, read b13+0, read_write b14+0  # layers.0.mlp.gate_proj+up_proj
      linear_rows  [1, ceil(T/4), 1]  read b14+0, read b9+0, read b16+0, read_write b15+0  # layers.0.mlp.down_proj
      gatherRows  [1, R, 1]  read b15+0, read b0+1792, read_write b14+0  # logits_rows
      rms_norm  [R, 1, 1]  read b14+0, read b10+0, read_write b15+0  # norm
      linear_rows  [1, ceil(R/4), 1]  read b15+0, read b11+0, read_write b14+0  # lm_head
      return layers.0.k_cache = b2
      return layers.0.v_cache = b3
      return logits = b14"
    `)
  })
})
