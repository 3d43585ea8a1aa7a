// Sampling on the device against the f64 reference: equal ids for random logits under every setting alone and all
// together, counts over steps, and draws whose frequencies are those of the truncated softmax.

import { readFileSync } from 'node:fs'
import { afterAll, describe, expect, test } from 'vitest'
import { createReferenceDevice } from '../../src/device/reference/reference.ts'
import type { Device } from '../../src/device/device.ts'
import { preparePlans } from '../../src/engine/load.ts'
import { symbol } from '../../src/graph/dim.ts'
import { GraphBuilder } from '../../src/graph/builder.ts'
import type { Graph } from '../../src/graph/graph.ts'
import {
  controlColumns,
  maxBiases,
  neutralControls,
  promptFlag,
  type Controls,
} from '../../src/graph/ops/logits.ts'
import { opDef } from '../../src/graph/ops/index.ts'
import { tolerance, type RefTensor } from '../../src/graph/opDef.ts'
import { gumbel, keptFloor, scoreRow } from '../../src/graph/ops/sample.ts'
import { wgslKernels } from '../../src/kernels/index.ts'
import type { KernelSet } from '../../src/kernels/spec.ts'
import { makePlan } from '../../src/plan/plan.ts'
import { StepWriter, type StepValues } from '../../src/plan/stepLayout.ts'
import { expectClose } from '../helpers/close.ts'
import { testDevice } from '../helpers/devices.ts'
import { fixturesDir } from '../helpers/dirs.ts'
import { seededRandom, type Random } from '../helpers/random.ts'
import { runGraph } from '../helpers/runGraph.ts'

afterAll(async () => (await testDevice()).dispose())

interface Row extends Partial<Controls> {
  readonly logits: Float32Array
  readonly temperature?: number
  readonly seed?: readonly [number, number]
  readonly tokenIndex?: number
  readonly biases?: ReadonlyMap<number, number>
  readonly prompt?: readonly number[]
  readonly generated?: readonly number[]
}

const T = symbol('T')
const S = symbol('S')
const R = symbol('R')

/** Everything from token ids and logits to sampled ids, as the models have it, in a graph of its own. */
function samplingGraph(vocabSize: number, numRows: number): Graph {
  const b = new GraphBuilder('sampling')
  const ids = b.input('ids', 'i32', [T])
  const cuSeqlensQ = b.input('cuSeqlensQ', 'i32', [{ kind: 'affine', of: S, scale: 1, offset: 1 }])
  const contextLens = b.input('contextLens', 'i32', [S])
  const countTargets = b.input('countTargets', 'i32', [S, 3])
  const logits = b.input('logits', 'f32', [R, vocabSize])
  const temperature = b.input('temperature', 'f32', [R])
  const seed = b.input('seed', 'u32', [R, 2])
  const tokenIndex = b.input('tokenIndex', 'u32', [R])
  const targets = b.input('targets', 'i32', [R])
  const controls = b.input('controls', 'f32', [R, controlColumns.length])
  const biasIds = b.input('biasIds', 'i32', [R, maxBiases])
  const biasValues = b.input('biasValues', 'f32', [R, maxBiases])
  const tokenCounts = b.state('tokenCounts', 'u32', [numRows, vocabSize])
  const sampled = b.state('sampled', 'i32', [numRows])
  const counts = b.apply(
    'countTokens',
    'count',
    { ids, cuSeqlensQ, contextLens, targets: countTargets, tokenCounts },
    {},
  )
  const processed = b.apply(
    'processLogits',
    'process',
    { logits, controls, biasIds, biasValues, tokenCounts: counts, targets },
    {},
  )
  b.output('tokenCounts', counts)
  b.output('processed', processed)
  b.output(
    'sampled',
    b.apply(
      'sample',
      'sample',
      { logits, processed, controls, temperature, seed, tokenIndex, targets, sampled },
      {},
    ),
  )
  return b.finish()
}

/** One step in which every row's sequence is computed whole; rows go to targets in reverse order. */
function stepOf(rows: readonly Row[]): { dims: { T: number; S: number; R: number }; values: StepValues } {
  const tokens = rows.map(({ prompt = [], generated = [] }) => [...prompt, ...generated])
  const cuSeqlensQ = [0]
  for (const each of tokens) cuSeqlensQ.push(cuSeqlensQ.at(-1)! + each.length)
  const target = (row: number): number => rows.length - 1 - row
  const biases = rows.map(({ biases = new Map<number, number>() }) => [...biases].sort(([a], [b]) => a - b))
  const pad = (values: readonly number[]): number[] => [
    ...values,
    ...Array.from({ length: maxBiases - values.length }, () => 0),
  ]
  return {
    dims: { T: cuSeqlensQ.at(-1)!, S: rows.length, R: rows.length },
    values: {
      ids: tokens.flat(),
      cuSeqlensQ,
      contextLens: tokens.map(({ length }) => length),
      countTargets: rows.flatMap(({ prompt }, row) =>
        prompt === undefined ? [0, 0, 0] : [1, target(row), prompt.length],
      ),
      logits: rows.flatMap(({ logits }) => [...logits]),
      temperature: rows.map(({ temperature = 1 }) => temperature),
      seed: rows.flatMap(({ seed = [1, 2] }) => seed),
      tokenIndex: rows.map(({ tokenIndex = 0 }) => tokenIndex),
      targets: rows.map((_, row) => target(row)),
      controls: rows.flatMap((row, r) => {
        const controls = { ...neutralControls, ...row, numBiases: biases[r]!.length }
        return controlColumns.map((column) => controls[column])
      }),
      biasIds: biases.flatMap((entries) => pad(entries.map(([id]) => id))),
      biasValues: biases.flatMap((entries) => pad(entries.map(([, value]) => value))),
    },
  }
}

const variants = wgslKernels.specs.sample!.variants.map(({ name }) => name)

/** With this variant of the sampling kernel, also where another one would be chosen. */
function kernelsWith(variant: string): KernelSet {
  const chosen = wgslKernels.specs.sample!.variants.find(({ name }) => name === variant)!
  return {
    ...wgslKernels,
    select: (problem, capabilities) =>
      problem.op.kind === 'sample' ? chosen : wgslKernels.select(problem, capabilities),
  }
}

/** Sampled ids in the order of `rows`. */
async function sampleOn(device: Device, rows: readonly Row[], kernels?: KernelSet): Promise<number[]> {
  const graph = samplingGraph(rows[0]!.logits.length, rows.length)
  const options = { ...stepOf(rows), ...(kernels && { kernels }), outputs: ['sampled'] }
  const { sampled } = await runGraph(device, graph, options)
  return [...sampled!.data].reverse()
}

const tensor = (shape: readonly number[], data: ArrayLike<number>): RefTensor => ({
  shape,
  data: Float64Array.from(data),
})

/** The row's logits after bias and penalties, in f64. */
function processed(row: Row): Float64Array {
  const { values } = stepOf([row])
  const vocabSize = row.logits.length
  const { next } = opDef('countTokens').reference(
    {},
    {
      ids: tensor([values['ids']!.length], values['ids']!),
      cuSeqlensQ: tensor([2], values['cuSeqlensQ']!),
      contextLens: tensor([1], values['contextLens']!),
      targets: tensor([1, 3], values['countTargets']!),
      tokenCounts: tensor([1, vocabSize], new Float64Array(vocabSize)),
    },
  )
  return opDef('processLogits').reference(
    {},
    {
      logits: tensor([1, vocabSize], row.logits),
      controls: tensor([1, controlColumns.length], Float32Array.from(Array.from(values['controls']!))),
      biasIds: tensor([1, maxBiases], values['biasIds']!),
      biasValues: tensor([1, maxBiases], values['biasValues']!),
      tokenCounts: next!,
      targets: tensor([1], [0]),
    },
  )['y']!.data
}

/** Whether bias or penalties do something, so that the row has processed logits. */
function isChanged({ biases, repetitionPenalty, presencePenalty, frequencyPenalty }: Row): boolean {
  return biases !== undefined || [repetitionPenalty, presencePenalty, frequencyPenalty].some(Boolean)
}

const settings: Readonly<Record<string, Partial<Row>>> = {
  neutral: {},
  greedy: { temperature: 0 },
  'temperature 0.3': { temperature: 0.3 },
  'temperature 2': { temperature: 2 },
  'top-k 1': { topK: 1 },
  'top-k 7': { topK: 7 },
  'top-k 40': { topK: 40 },
  'top-k above any vocabulary': { topK: 1_000_000 },
  'top-p 0': { topP: 0 },
  'top-p 0.1': { topP: 0.1 },
  'top-p 0.9': { topP: 0.9 },
  'top-p 0.9999': { topP: 0.9999 },
  'min-p 0.05': { minP: 0.05 },
  'min-p 1': { minP: 1 },
  'repetition 1.3': { repetitionPenalty: 1.3 },
  'repetition 0.7': { repetitionPenalty: 0.7 },
  'presence 1.5': { presencePenalty: 1.5 },
  'frequency -0.5': { frequencyPenalty: -0.5 },
  bias: { biases: new Map() },
  'greedy, penalties': { temperature: 0, repetitionPenalty: 1.2, frequencyPenalty: 0.5, topK: 3 },
  all: {
    temperature: 0.8,
    topK: 50,
    topP: 0.95,
    minP: 0.02,
    repetitionPenalty: 1.1,
    presencePenalty: 0.3,
    frequencyPenalty: 0.2,
    biases: new Map(),
  },
}

function randomRow(base: Partial<Row>, vocabSize: number, rng: Random): Row {
  // As models' logits are: most far below a few; one in eight has an equal.
  const logits = rng.normals(vocabSize, 4)
  for (let id = 8; id < vocabSize; id += 8) logits[id] = logits[id - 5]!
  const some = (length: number): number[] => Array.from({ length }, () => rng.integer(vocabSize))
  const usesTokens = Object.keys(base).some((key) => key.endsWith('Penalty'))
  return {
    ...base,
    logits,
    seed: [rng.integer(2 ** 31), rng.integer(2 ** 31)],
    tokenIndex: rng.integer(4096),
    ...(usesTokens
      ? { prompt: [...some(20), logits.indexOf(Math.max(...logits))], generated: some(12) }
      : {}),
    ...(base.biases === undefined
      ? {}
      : { biases: new Map(some(Math.min(vocabSize, maxBiases)).map((id) => [id, rng.normal() * 5])) }),
  }
}

describe.each(variants)('ids of random logits by %s', (variant) => {
  let numCompared = 0
  let numSkipped = 0

  test.each([1, 7, 101, 4096, 32_000])('in a vocabulary of %i equal the reference', async (vocabSize) => {
    const device = await testDevice()
    const rng = seededRandom(vocabSize)
    const repeats = vocabSize > 10_000 ? 1 : 4
    const names = Object.keys(settings).flatMap((name) => Array.from({ length: repeats }, () => name))
    const rows = names.map((name) => randomRow(settings[name]!, vocabSize, rng))
    const actual = await sampleOn(device, rows, kernelsWith(variant))
    const wrong: string[] = []
    rows.forEach((row, r) => {
      const { temperature = 1, seed = [0, 0], tokenIndex = 0 } = row
      const [best, second] = scoreRow(
        processed(row),
        { ...neutralControls, ...row },
        { temperature: Math.fround(temperature), seed, tokenIndex },
      )
      numCompared++
      // f32 may order such a pair either way, or keep one more token at the edge.
      if (best!.score - second!.score < 1e-3 && best!.score !== second!.score) numSkipped++
      else if (actual[r] !== best!.id) wrong.push(`${names[r]}: ${actual[r]} for ${best!.id}`)
    })
    expect(wrong).toEqual([])
  })

  test('were rarely too close to call', () => {
    expect(numCompared).toBeGreaterThan(300)
    expect(numSkipped / numCompared).toBeLessThan(0.02)
  })
})

describe("transformers' kept sets and probabilities", () => {
  interface Golden {
    readonly logits: number[]
    readonly prompt: number[]
    readonly generated: number[]
    readonly settings: Partial<Row>
    readonly biases: [number, number][]
    readonly kept: number[]
    readonly probabilities: number[]
  }

  test('give the ids that the device draws', async () => {
    const path = `${fixturesDir}/golden/sampling/sampling.json`
    const { cases } = JSON.parse(readFileSync(path, 'utf8')) as { cases: Golden[] }
    const drawn = cases
      .filter(({ logits }) => logits.length === 64)
      .flatMap((golden) => Array.from({ length: 30 }, (_, tokenIndex) => ({ golden, tokenIndex })))
    const rows = drawn.map(({ golden, tokenIndex }): Row => {
      const { settings, logits, prompt, generated, biases } = golden
      const row = { ...settings, prompt, generated, biases: new Map(biases), tokenIndex }
      return { ...row, logits: Float32Array.from(logits) }
    })
    const actual = await sampleOn(await testDevice(), rows)
    let numSkipped = 0
    const wrong: string[] = []
    drawn.forEach(({ golden: { kept, probabilities, settings }, tokenIndex }, r) => {
      const scores = kept
        .map((id, i) => ({ id, score: Math.log(probabilities[i]!) + gumbel(id, tokenIndex, [1, 2]) }))
        .sort((a, b) => b.score - a.score)
      if (scores.length > 1 && scores[0]!.score - scores[1]!.score < 1e-3) numSkipped++
      else if (actual[r] !== scores[0]!.id) wrong.push(`${JSON.stringify(settings)}: ${actual[r]}`)
    })
    expect(wrong).toEqual([])
    expect(drawn.length).toBeGreaterThan(800)
    expect(numSkipped / drawn.length).toBeLessThan(0.02)
  })
})

describe('settings that do nothing', () => {
  test('leave the ids of temperature alone as they were', async () => {
    const device = await testDevice()
    const rng = seededRandom(5)
    const rows = Array.from({ length: 20 }, (): Row => randomRow({}, 101, rng))
    const b = new GraphBuilder('plain')
    const numRows = rows.length
    const input = (
      name: string,
      dtype: 'f32' | 'u32' | 'i32',
      ...shape: number[]
    ): ReturnType<typeof b.input> => b.input(name, dtype, [R, ...shape])
    b.output(
      'sampled',
      b.apply(
        'sample',
        'sample',
        {
          logits: input('logits', 'f32', 101),
          temperature: input('temperature', 'f32'),
          seed: input('seed', 'u32', 2),
          tokenIndex: input('tokenIndex', 'u32'),
          targets: input('targets', 'i32'),
          sampled: b.state('sampled', 'i32', [numRows]),
        },
        {},
      ),
    )
    const plain = await runGraph(device, b.finish(), stepOf(rows))
    const ids = [...plain['sampled']!.data].reverse()
    expect(await sampleOn(device, rows)).toEqual(ids)
    const noops = { topK: 101, topP: 0.999_999_9, minP: 1e-30, repetitionPenalty: 1.5, prompt: [] }
    expect(
      await sampleOn(
        device,
        rows.map((row) => ({ ...row, ...noops })),
      ),
    ).toEqual(ids)
  })
})

describe('edges', () => {
  const sampleEach = async (logits: readonly number[], rows: readonly Partial<Row>[]): Promise<number[]> =>
    sampleOn(
      await testDevice(),
      // Seven tokens, as elsewhere: each vocabulary is a shader of its own.
      rows.map((row) => ({
        ...row,
        logits: Float32Array.from({ length: 7 }, (_, id) => logits[id] ?? -Infinity),
      })),
    )
  const draws = (base: Partial<Row>): Partial<Row>[] =>
    Array.from({ length: 200 }, (_, tokenIndex) => ({ ...base, tokenIndex }))

  test.each([
    [{ topK: 2 }, [1, 2, 4]],
    [{ topP: 0.3 }, [1]],
    [{ topP: 0.5 }, [1, 2, 4]],
    [{ minP: 0.5 }, [1, 2, 4]],
    [{ minP: 0.7 }, [1]],
    [{ topK: 2, topP: 0.999 }, [1, 2, 4]],
  ])('%j keeps all of equal logits, or none', async (base, kept) => {
    const ids = await sampleEach([0, 2, 1.5, -1, 1.5, 0], draws(base))
    expect(new Set(ids)).toEqual(new Set(kept))
  })

  test('logits that differ in the last bit are told apart', async () => {
    const logits = Array.from({ length: 7 }, (_, i) => 1 + ((i * 3) % 7) * 2 ** -23)
    for (const topK of [1, 2, 3, 4, 5, 6]) {
      const ids = await sampleEach(logits, draws({ topK }))
      const expected = [0, 5, 3, 1, 6, 4, 2].slice(7 - topK)
      expect(new Set(ids)).toEqual(new Set(expected))
    }
  })

  test('both zeros are equal', async () => {
    const ids = await sampleEach([-0, 0, -1, -0], draws({ topK: 1 }))
    expect(new Set(ids)).toEqual(new Set([0, 1, 3]))
  })

  test.each([{ topK: 3 }, { topP: 0.9 }, { minP: 0.1 }, { temperature: 0 }])(
    '%j never takes NaN or minus infinity over a number',
    async (base) => {
      const ids = await sampleEach([NaN, -Infinity, -5, NaN, -Infinity, NaN], draws(base))
      expect(new Set(ids)).toEqual(new Set([2]))
    },
  )

  test('a row without a number gives no token, whatever the settings', async () => {
    const rows = [
      { topK: 3 },
      { topP: 0.9, temperature: 3 },
      { minP: 0.1 },
      { temperature: 0 },
      { temperature: 2 },
    ]
    expect(await sampleEach([NaN, NaN, NaN, NaN, NaN, NaN, NaN], rows)).toEqual([-1, -1, -1, -1, -1])
    const none = [-Infinity, NaN, -Infinity, NaN]
    expect(await sampleEach(none, rows)).toEqual([-1, -1, -1, -1, -1])
  })

  test('a bias of −100 bans a token and one of 100 forces it', async () => {
    const logits = [9, 8, 7, 6]
    const ids = await sampleEach(logits, [
      { temperature: 0, biases: new Map([[0, -100]]) },
      { temperature: 0, biases: new Map([[3, 100]]) },
      ...draws({ biases: new Map([[2, 100]]) }),
    ])
    expect(ids.slice(0, 2)).toEqual([1, 3])
    expect(new Set(ids.slice(2))).toEqual(new Set([2]))
  })
})

describe.each(variants)('rows that cannot be narrowed down to few logits by %s', (variant) => {
  const kept = async (logits: Float32Array, base: Partial<Row>): Promise<Set<number>> => {
    const draws = Array.from({ length: 400 }, (_, tokenIndex) => ({ ...base, logits, tokenIndex }))
    return new Set(await sampleOn(await testDevice(), draws, kernelsWith(variant)))
  }

  test('since one invocation has nearly all of the largest', async () => {
    const ids = Array.from({ length: 16 }, (_, i) => i * 256)
    const logits = new Float32Array(4096)
    ids.forEach((id, i) => (logits[id] = 10 + i / 16))
    expect(await kept(logits, { topK: 12, temperature: 2 })).toEqual(new Set(ids.slice(4)))
    expect(await kept(logits, { topK: 3 })).toEqual(new Set(ids.slice(13)))
  })

  test('since top-p keeps most of a flat distribution', async () => {
    const logits = Float32Array.from({ length: 4096 }, (_, id) => -id / 2 ** 14)
    const row = { ...neutralControls, topP: 0.7 }
    const numKept = logits.filter((logit) => logit >= keptFloor(Float64Array.from(logits), row, 1)).length
    const largest = Math.max(...(await kept(logits, row)))
    expect(largest).toBeLessThan(numKept)
    // Of 400 draws the last comes from the last twentieth.
    expect(largest).toBeGreaterThan(0.95 * numKept)
  })
})

describe('processed logits', () => {
  test.each([7, 101, 4096])('of %i tokens are as close as rounding allows', async (vocabSize) => {
    const rng = seededRandom(vocabSize + 1)
    const rows = Object.values(settings).map((base) => randomRow(base, vocabSize, rng))
    const graph = samplingGraph(vocabSize, rows.length)
    const run = { ...stepOf(rows), outputs: ['processed'] }
    const actual = await runGraph(await testDevice(), graph, run)
    const expected = await runGraph(createReferenceDevice(), graph, run)
    const limit = tolerance(opDef('processLogits').accuracy, 'f32', 1)
    const changed = rows.flatMap((row, r) => (isChanged(row) ? [r] : []))
    expect(changed.length).toBeGreaterThan(5)
    expect(changed.length).toBeLessThan(rows.length)
    for (const r of changed) {
      const [begin, end] = [r * vocabSize, (r + 1) * vocabSize]
      expectClose(
        actual['processed']!.data.slice(begin, end),
        expected['processed']!.data.slice(begin, end),
        limit,
      )
    }
  })
})

describe('token counts', () => {
  /** Chunk after chunk of the ids of several sequences, on states that stay; counts as they are at the end. */
  async function countsAfter(
    device: Device,
    steps: readonly (readonly {
      ids: number[]
      start: number
      target: readonly [number, number, number]
    }[])[],
  ): Promise<number[]> {
    const [vocabSize, numRows, maxima] = [101, 3, { T: 64, S: 3, R: 1 }]
    const graph = samplingGraph(vocabSize, numRows)
    const plan = makePlan(graph, { kernels: wgslKernels, capabilities: device.capabilities, maxima })
    const loaded = await preparePlans(device, [plan], new Map())
    const writer = new StepWriter(plan.step, maxima)
    const { values } = stepOf([{ logits: new Float32Array(vocabSize) }])
    let result: ArrayLike<number> = []
    for (const chunks of steps) {
      const cuSeqlensQ = [0]
      for (const { ids } of chunks) cuSeqlensQ.push(cuSeqlensQ.at(-1)! + ids.length)
      const step = writer.write(
        { T: cuSeqlensQ.at(-1)!, S: chunks.length, R: 1 },
        {
          ...values,
          ids: chunks.flatMap(({ ids }) => ids),
          cuSeqlensQ,
          contextLens: chunks.map(({ ids, start }) => start + ids.length),
          countTargets: chunks.flatMap(({ target }) => target),
        },
      )
      const { tokenCounts } = await device.run(loaded.plans[0]!, step, ['tokenCounts'])
      result = tokenCounts!.data
    }
    loaded.dispose()
    return Array.from(result, (word) => (word < 0 ? word + 2 ** 32 : word))
  }

  /** Words of three rows of 101 tokens, from (row, id, word). */
  function words(...entries: readonly (readonly [number, number, number])[]): number[] {
    const all = Array.from({ length: 303 }, () => 0)
    for (const [row, id, word] of entries) all[row * 101 + id] = word
    return all
  }

  test.each(['webgpu', 'reference'])(
    'take prompts in chunks, answers one by one, and start over with position 0 (%s)',
    async (name) => {
      const device = name === 'webgpu' ? await testDevice() : createReferenceDevice()
      const counted = await countsAfter(device, [
        // Row 2: five prompt tokens in two chunks, the second of which ends in an answer. Row 0 belongs to someone else.
        [
          { ids: [7, 7, 100], start: 0, target: [1, 2, 5] },
          { ids: [50, 50], start: 0, target: [1, 0, 2] },
        ],
        [{ ids: [3, 7, 7, 8], start: 3, target: [1, 2, 5] }],
        // Not counted: neither cleared nor added to.
        [{ ids: [9, 9, 9], start: 0, target: [0, 2, 1] }],
        [
          { ids: [8], start: 7, target: [1, 2, 5] },
          { ids: [6], start: 2, target: [1, 0, 2] },
        ],
      ])
      const row2 = [
        [2, 7, promptFlag + 1],
        [2, 100, promptFlag],
        [2, 3, promptFlag],
        [2, 8, 2],
      ] as const
      expect(counted).toEqual(words(...row2, [0, 50, promptFlag], [0, 6, 1]))
      const restarted = await countsAfter(device, [
        [{ ids: [1, 2, 3, 4, 5, 6], start: 0, target: [1, 2, 2] }],
        // Preempted, and recomputed in one chunk: the same as before, and no trace of what was there.
        [{ ids: [7, 7, 100, 3, 7, 7, 8, 8], start: 0, target: [1, 2, 5] }],
      ])
      expect(restarted).toEqual(words(...row2))
    },
  )
})

describe('20,000 draws', () => {
  const logits = Float32Array.from([0, 1.5, -1, 0.5, 2, -0.5, 0.25])

  /** Expected probability of each token under settings, from the definition. */
  function probabilities(row: Partial<Row>): number[] {
    const { temperature = 1 } = row
    const floor = keptFloor(Float64Array.from(logits), { ...neutralControls, ...row }, temperature)
    const weights = Array.from(logits, (logit) => (logit >= floor ? Math.exp(logit / temperature) : 0))
    const total = weights.reduce((sum, weight) => sum + weight, 0)
    return weights.map((weight) => weight / total)
  }

  function chiSquare(ids: readonly number[], expected: readonly number[]): number {
    const counts = expected.map(() => 0)
    for (const id of ids) counts[id]!++
    return expected.reduce((sum, probability, id) => {
      if (probability === 0) return sum + (counts[id] === 0 ? 0 : Infinity)
      const mean = probability * ids.length
      return sum + (counts[id]! - mean) ** 2 / mean
    }, 0)
  }

  test.each<[Partial<Row>, number]>([
    [{ topK: 4 }, 4],
    [{ topP: 0.8 }, 3],
    [{ topK: 5, topP: 0.95, temperature: 1.5 }, 5],
    [{ minP: 0.1, temperature: 0.7 }, 3],
  ])('with %j follow the softmax of what is kept', async (base, numKept) => {
    const expected = probabilities(base)
    expect(expected.filter((probability) => probability > 0)).toHaveLength(numKept)
    const rows = Array.from({ length: 20_000 }, (_, tokenIndex): Row => ({ ...base, logits, tokenIndex }))
    const ids = await sampleOn(await testDevice(), rows)
    // One fair sampler in ten thousand is above, at four degrees of freedom; with fewer, fewer.
    expect(chiSquare(ids, expected)).toBeLessThan(23.5)
    // The control: the temperature a fifth higher is told apart.
    expect(
      chiSquare(ids, probabilities({ ...base, temperature: 1.2 * (base.temperature ?? 1) })),
    ).toBeGreaterThan(23.5)
  })
})
