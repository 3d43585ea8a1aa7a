// Synthetic models: exact shapes and repeatable random weights.

import { describe, expect, test } from 'vitest'
import { syntheticSpec, syntheticModel, syntheticNames } from '../../../src/bench/synthetic.ts'
import { decodeF32 } from '../../../src/weights/decode.ts'

const q = 'model.layers.0.self_attn.q_proj.weight'

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
  const { checkpoint } = syntheticModel('synthetic:llama-15m', { dtype: 'f32', layers: 1 })
  const numbers = async (start: number, count: number, name = q): Promise<Float32Array> =>
    decodeF32(checkpoint.tensors.get(name)!.dtype, await checkpoint.read(name, start, count))

  test('are the same however they are sliced', async () => {
    const name = 'model.embed_tokens.weight'
    // Beyond the length of the block that they repeat.
    const whole = await numbers(1000, 600_000, name)
    const parts = await Promise.all([
      numbers(1000, 1, name),
      numbers(1001, 299_999, name),
      numbers(301_000, 300_000, name),
    ])
    expect(parts.flatMap((part) => [...part])).toEqual([...whole])
  })

  test('have the scale that keeps activations in range', async () => {
    const values = await numbers(0, 288 * 288)
    const mean = values.reduce((sum, value) => sum + value, 0) / values.length
    const variance = values.reduce((sum, value) => sum + value ** 2, 0) / values.length
    expect(Math.abs(mean)).toBeLessThan(1e-3)
    expect(variance * 288).toBeGreaterThan(0.97)
    expect(variance * 288).toBeLessThan(1.03)
    const norm = await numbers(0, 288, 'model.norm.weight')
    expect(Math.abs(norm.reduce((sum, value) => sum + value, 0) / 288 - 1)).toBeLessThan(0.02)
  })

  test('differ between tensors, rows and seeds, and agree between dtypes up to rounding', async () => {
    const row = [...(await numbers(0, 288))]
    expect(row).not.toEqual([...(await numbers(288, 288))])
    expect(row).not.toEqual([...(await numbers(0, 288, 'model.layers.0.self_attn.k_proj.weight'))])
    const other = syntheticModel('synthetic:llama-15m', { dtype: 'f32', layers: 1, seed: 1 }).checkpoint
    expect(row).not.toEqual([...decodeF32('f32', await other.read(q, 0, 288))])
    const half = syntheticModel('synthetic:llama-15m', { dtype: 'f16', layers: 1 }).checkpoint
    const rounded = decodeF32('f16', await half.read(q, 0, 288))
    for (const [i, value] of row.entries())
      expect(Math.abs(rounded[i]! - value)).toBeLessThan(Math.abs(value) * 2 ** -10 + 2 ** -24)
  })

  test('end where the tensor ends', async () => {
    await expect(numbers(288 * 288 - 1, 1)).resolves.toHaveLength(1)
    await expect(checkpoint.read(q, 288 * 288 - 1, 2)).rejects.toThrow('[weights/shape]')
    await expect(checkpoint.read('nothing', 0, 1)).rejects.toThrow('[weights/missing]')
  })
})
