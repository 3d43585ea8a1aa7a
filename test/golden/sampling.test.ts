// The f64 reference of bias, penalties and truncation against transformers' logits processors: the same tokens kept,
// with the same probabilities. That kernels agree with the reference is tested in test/gpu/sampling.test.ts.

import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { controlColumns, neutralControls, type Controls } from '../../src/graph/ops/logits.ts'
import { opDef } from '../../src/graph/ops/index.ts'
import type { RefTensor } from '../../src/graph/opDef.ts'
import { keptFloor } from '../../src/graph/ops/sample.ts'
import { fixturesDir } from '../helpers/dirs.ts'

interface Case {
  readonly logits: number[]
  readonly prompt: number[]
  readonly generated: number[]
  readonly settings: Partial<Controls> & { readonly temperature?: number }
  /** Token and value, by token. */
  readonly biases: [number, number][]
  readonly kept: number[]
  readonly probabilities: number[]
}

const { cases } = JSON.parse(readFileSync(`${fixturesDir}/golden/sampling/sampling.json`, 'utf8')) as {
  cases: Case[]
}

const tensor = (shape: readonly number[], data: readonly number[] = []): RefTensor => {
  const values = new Float64Array(shape.reduce((product, dim) => product * dim, 1))
  values.set(data)
  return { shape, data: values }
}

/** What the draw sees: logits after bias and penalties. */
function processed({ logits, prompt, generated, settings, biases }: Case): Float64Array {
  const tokens = [...prompt, ...generated]
  const { next } = opDef('countTokens').reference(
    {},
    {
      ids: tensor([tokens.length], tokens),
      cuSeqlensQ: tensor([2], [0, tokens.length]),
      contextLens: tensor([1], [tokens.length]),
      targets: tensor([1, 3], [1, 0, prompt.length]),
      tokenCounts: tensor([1, logits.length]),
    },
  )
  const controls = { ...neutralControls, ...settings, numBiases: biases.length }
  const { y } = opDef('processLogits').reference(
    {},
    {
      logits: tensor([1, logits.length], logits),
      controls: tensor(
        [1, controlColumns.length],
        controlColumns.map((column) => controls[column]),
      ),
      biasIds: tensor(
        [1, 8],
        biases.map(([id]) => id),
      ),
      biasValues: tensor(
        [1, 8],
        biases.map(([, value]) => value),
      ),
      tokenCounts: next!,
      targets: tensor([1], [0]),
    },
  )
  return y!.data
}

describe("transformers' logits processors", () => {
  test('were asked about every setting', () => {
    expect(cases.length).toBeGreaterThan(70)
    const used = new Set(cases.flatMap(({ settings }) => Object.keys(settings)))
    expect([...used].sort()).toEqual(
      ['temperature', ...controlColumns].filter((name) => name !== 'numBiases').sort(),
    )
    // A reference that kept everything would fail on most.
    expect(cases.filter(({ logits, kept }) => kept.length < logits.length).length).toBeGreaterThan(20)
  })

  test.each(cases.map((each, index) => ({ each, name: `${index}: ${JSON.stringify(each.settings)}` })))(
    'keep the same tokens with the same probabilities ($name)',
    ({ each }) => {
      const logits = processed(each)
      const { temperature = 1 } = each.settings
      const floor = keptFloor(logits, { ...neutralControls, ...each.settings }, temperature)
      const kept = each.logits.map((_, id) => id).filter((id) => logits[id]! >= floor)
      expect(kept).toEqual(each.kept)
      const top = Math.max(...logits)
      const weights = kept.map((id) => Math.exp((logits[id]! - top) / temperature))
      const total = weights.reduce((sum, weight) => sum + weight, 0)
      const errors = weights.map((weight, i) => Math.abs(weight / total - each.probabilities[i]!))
      expect(Math.max(...errors)).toBeLessThan(1e-6)
    },
  )
})
