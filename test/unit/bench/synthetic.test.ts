// Synthetic models: exact shapes and repeatable random weights.

import { describe, expect, test } from 'vitest'
import { randomTensors, syntheticModel, syntheticNames, syntheticSpec } from '../../../src/bench/synthetic.ts'
import { createReferenceDevice } from '../../../src/device/reference/reference.ts'
import type { FloatDType } from '../../../src/graph/opDef.ts'
import { concat, sliceRows, tensor, type WeightExpr } from '../../../src/graph/weightExpr.ts'
import { writtenValues } from '../../helpers/writtenWeights.ts'

describe('shapes', () => {
  // Parameters as published for these models, tied embeddings counted once.
  test.each([
    ['synthetic:llama-15m', 15_191_712],
    ['synthetic:llama-110m', 109_529_856],
    ['synthetic:llama-1b', 1_235_814_400],
    ['synthetic:llama-2-7b', 6_738_415_616],
    ['synthetic:llama-2-70b', 68_976_648_192],
  ])('of %s add up to %i parameters', (name, expected) => {
    const { checkpoint } = syntheticModel(name, { dtype: 'f16' })
    const numParameters = [...checkpoint.tensors.values()].reduce(
      (sum, { shape }) => sum + shape.reduce((product, dim) => product * dim, 1),
      0,
    )
    expect(numParameters).toBe(expected)
  })

  test('are known for every name, with as many layers as asked', () => {
    expect(syntheticNames).toHaveLength(5)
    expect(syntheticSpec('synthetic:llama-2-7b', 3).config.numLayers).toBe(3)
    expect(syntheticSpec('synthetic:llama-2-70b').config).toMatchObject({
      numLayers: 80,
      numKvHeads: 8,
      headDim: 128,
    })
  })

  test.each(['synthetic:llama-3b', 'llama-15m', 'synthetic:'])('%s is a model/unsupported fault', (name) => {
    expect(() => syntheticSpec(name)).toThrow('[model/unsupported]')
  })
})

describe('weights', () => {
  const spec = syntheticSpec('synthetic:llama-15m', 1)
  const q = tensor('model.layers.0.self_attn.q_proj.weight', [288, 288])
  const k = tensor('model.layers.0.self_attn.k_proj.weight', [288, 288])
  const valuesOf = (expr: WeightExpr, dtype: FloatDType = 'f32', seed = 0): Promise<Float32Array> =>
    writtenValues(createReferenceDevice(), randomTensors('15m', spec, { dtype, seed }), expr, dtype)

  test('are the same however plans stack and cut them', async () => {
    const values = await valuesOf(q)
    const band = await valuesOf(sliceRows(concat([k, q, k]), 287, 290))
    expect([...band.subarray(288, 289 * 288)]).toEqual([...values])
  })

  test('have the scale that keeps activations in range', async () => {
    const values = await valuesOf(q)
    const mean = values.reduce((sum, value) => sum + value, 0) / values.length
    const variance = values.reduce((sum, value) => sum + value ** 2, 0) / values.length
    expect(Math.abs(mean)).toBeLessThan(1e-3)
    expect(variance * 288).toBeGreaterThan(0.97)
    expect(variance * 288).toBeLessThan(1.03)
    const norm = await valuesOf(tensor('model.norm.weight', [288]))
    expect(Math.abs(norm.reduce((sum, value) => sum + value, 0) / 288 - 1)).toBeLessThan(0.02)
  })

  test('differ between tensors, rows and seeds, and agree between dtypes up to rounding', async () => {
    const values = [...(await valuesOf(q))]
    const row = values.slice(0, 288)
    expect(row).not.toEqual(values.slice(288, 576))
    expect(row).not.toEqual([...(await valuesOf(k))].slice(0, 288))
    expect(row).not.toEqual([...(await valuesOf(q, 'f32', 1))].slice(0, 288))
    const rounded = await valuesOf(q, 'f16')
    for (const [i, value] of row.entries())
      expect(Math.abs(rounded[i]! - value)).toBeLessThan(Math.abs(value) * 2 ** -10 + 2 ** -24)
  })
})
