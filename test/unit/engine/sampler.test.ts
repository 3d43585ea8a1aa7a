// Sampling settings from a request to the device's inputs, and whole answers under penalties on the f64 device against
// a straight recomputation from logits, with prompts in chunks, neighbours, rows reused and preemption.

import { describe, expect, test } from 'vitest'
import { createEngineFacade } from '../../../src/api/engine.ts'
import type { CompletionRequest } from '../../../src/api/types.ts'
import type { BlockId } from '../../../src/core/brand.ts'
import { createReferenceDevice } from '../../../src/device/reference/reference.ts'
import { LlmEngine, type LlmEngineOptions } from '../../../src/engine/llm/llmEngine.ts'
import { SamplingInputsBuilder } from '../../../src/engine/llm/sampler.ts'
import type { SamplingParams, Sequence } from '../../../src/engine/llm/sequence.ts'
import { maxBiases } from '../../../src/graph/ops/logits.ts'
import { gumbel } from '../../../src/graph/ops/sample.ts'
import { tinySpec } from '../models/tinyLlama.ts'
import type { Checkpoint } from '../../../src/weights/checkpoint.ts'
import { seededRandom } from '../../helpers/random.ts'
import { checkpointFor, f32Tensor, memoryCheckpoint } from './memoryCheckpoint.ts'
import { sequenceOf } from './sequences.ts'

function scheduled(row: number, sampling: Partial<SamplingParams> = {}): Sequence {
  const sequence = sequenceOf(5, 9, { sampling: { temperature: 0.5, seed: [11, 12], ...sampling } })
  sequence.row = row
  sequence.blockTable = [0 as BlockId]
  return sequence
}

describe('sampling inputs', () => {
  test('of a temperature that would overflow logits are greedy', () => {
    const builder = new SamplingInputsBuilder()
    for (const temperature of [1e-38, 1e-5]) builder.addRow(scheduled(2, { temperature }), 7)
    expect(builder.finish().temperature).toEqual([0, 1e-5])
  })

  test('of a plain request are neutral, and nothing is counted', () => {
    const builder = new SamplingInputsBuilder()
    builder.addSequence(scheduled(2))
    builder.addRow(scheduled(2), 7)
    expect(builder.finish()).toEqual({
      temperature: [0.5],
      seed: [11, 12],
      tokenIndex: [7],
      sampleTargets: [2],
      controls: [0, 1, 0, 1, 0, 0, 0],
      countTargets: [0, 0, 0],
      biasIds: new Int32Array(maxBiases),
      biasValues: new Float32Array(maxBiases),
    })
  })

  test('have a row of controls and ascending biases for each row, and count where there is a penalty', () => {
    const builder = new SamplingInputsBuilder()
    const all = {
      topK: 40,
      topP: 0.9,
      minP: 0.1,
      repetitionPenalty: 1.2,
      presencePenalty: 0.5,
      frequencyPenalty: 2,
    }
    const biased = scheduled(0, {
      logitBias: new Map([
        [9, -1],
        [3, 4],
      ]),
    })
    const penalised = scheduled(1, all)
    for (const sequence of [biased, penalised, scheduled(2, { frequencyPenalty: -1 })])
      builder.addSequence(sequence)
    builder.addRow(biased, 5)
    builder.addRow(penalised, 5)
    const { controls, countTargets, biasIds, biasValues } = builder.finish()
    expect(controls).toEqual([0, 1, 0, 1, 0, 0, 2, 40, 0.9, 0.1, 1.2, 0.5, 2, 0])
    expect(countTargets).toEqual([0, 0, 0, 1, 1, 5, 1, 2, 5])
    expect([...biasIds.subarray(0, 3)]).toEqual([3, 9, 0])
    expect([...biasValues.subarray(0, 3)]).toEqual([4, -1, 0])
    expect(biasIds).toHaveLength(2 * maxBiases)
    expect(biasIds.subarray(3).every((id) => id === 0)).toBe(true)
  })
})

const options: LlmEngineOptions = {
  dtype: 'f32',
  maxSeqLen: 32,
  maxNumSeqs: 3,
  maxNumBatchedTokens: 8,
  numBlocks: 6,
}

/** The tiny Llama with random weights: zeros would make all tokens equal. */
function checkpoint(): Checkpoint {
  const rng = seededRandom(12)
  const tensors = [...checkpointFor(tinySpec).tensors.values()]
  return memoryCheckpoint(
    Object.fromEntries(
      tensors.map(({ name, shape }) => {
        const length = shape.reduce((product, dim) => product * dim, 1)
        return [name, f32Tensor(shape, rng.normals(length, 0.4))]
      }),
    ),
  )
}

const load = (changes: Partial<LlmEngineOptions> = {}): Promise<LlmEngine> =>
  LlmEngine.load(createReferenceDevice(), tinySpec, checkpoint(), { ...options, ...changes })

interface Request {
  readonly promptTokens: readonly number[]
  readonly sampling: SamplingParams
}

const numNew = 12

async function answer(engine: LlmEngine, { promptTokens, sampling }: Request): Promise<number[]> {
  const tokens: number[] = []
  const params = { promptTokens, sampling, maxNewTokens: numNew, stopTokenIds: new Set<number>() }
  for await (const { token } of engine.generate(params)) tokens.push(token)
  return tokens
}

/** The answer from the definition: all logits anew for each token, penalties from the list of tokens. */
async function expectedAnswer(engine: LlmEngine, { promptTokens, sampling }: Request): Promise<number[]> {
  const {
    repetitionPenalty = 1,
    presencePenalty = 0,
    frequencyPenalty = 0,
    temperature,
    seed,
    logitBias,
  } = sampling
  const generated: number[] = []
  while (generated.length < numNew) {
    const tokens = [...promptTokens, ...generated]
    const logits = Float64Array.from((await engine.logits(tokens)).at(-1)!)
    for (const [id, value] of logitBias ?? []) logits[id]! += value
    for (const id of new Set(tokens)) {
      const logit = logits[id]!
      logits[id] = logit > 0 ? logit / repetitionPenalty : logit * repetitionPenalty
    }
    for (const id of generated) logits[id]! -= frequencyPenalty
    for (const id of new Set(generated)) logits[id]! -= presencePenalty
    const scores =
      temperature === 0
        ? logits
        : logits.map((logit, id) => logit / temperature + gumbel(id, tokens.length, seed))
    generated.push(scores.indexOf(Math.max(...scores)))
  }
  return generated
}

/** Exact in f32, as the device gets them. */
const requests: readonly Request[] = [
  { promptTokens: [1, 2, 3], sampling: { temperature: 0, seed: [0, 0], repetitionPenalty: 3 } },
  {
    promptTokens: [5, 5, 6, 7, 8, 9, 10, 11, 12, 13],
    sampling: { temperature: 1, seed: [3, 4], frequencyPenalty: -1.75, presencePenalty: -0.25 },
  },
  {
    promptTokens: [20, 21],
    sampling: { temperature: 0, seed: [0, 0], presencePenalty: 1.5, logitBias: new Map([[4, 1.25]]) },
  },
  { promptTokens: [9, 8, 7, 6], sampling: { temperature: 0, seed: [0, 0] } },
  { promptTokens: [2, 3, 2], sampling: { temperature: 0.5, seed: [9, 9], repetitionPenalty: 0.25 } },
]

describe('answers under penalties', () => {
  test('differ from plain ones, or these tests would be of little use', async () => {
    const engine = await load()
    for (const request of requests.filter(({ sampling }) => Object.keys(sampling).length > 2)) {
      const { temperature, seed } = request.sampling
      const plain = { ...request, sampling: { temperature, seed } }
      expect(await answer(engine, request)).not.toEqual(await answer(engine, plain))
    }
  })

  test('are as recomputed, one after another in the same rows', async () => {
    const engine = await load({ maxNumSeqs: 1 })
    for (const request of requests)
      expect(await answer(engine, request)).toEqual(await expectedAnswer(engine, request))
  })

  test.each([
    { name: 'enough', numBlocks: 6 },
    // Blocks of 16 tokens: the longer requests need two, so somebody has to start over.
    { name: 'too few, so that sequences are preempted', numBlocks: 3 },
  ])('are as recomputed when they run together and blocks are $name', async ({ numBlocks }) => {
    const engine = await load({ numBlocks })
    const together = await Promise.all(requests.map((request) => answer(engine, request)))
    for (const [i, request] of requests.entries())
      expect(together[i]).toEqual(await expectedAnswer(engine, request))
  })
})

describe('requests', () => {
  const complete = async (request: Omit<CompletionRequest, 'prompt'>): Promise<number[]> => {
    const llm = await load()
    const engine = createEngineFacade({ model: 'tiny', llm, tokenizer: undefined, ownsDevice: true })
    const { choices } = await engine.completions.create({ prompt: [1, 2, 3], max_tokens: numNew, ...request })
    return choices[0]!.tokens
  }

  test('reach the device with every setting', async () => {
    const { sampling } = requests[2]!
    const tokens = await complete({ temperature: 0, presence_penalty: 1.5, logit_bias: { 4: 1.25 } })
    const engine = await load()
    expect(tokens).toEqual(await expectedAnswer(engine, { promptTokens: [1, 2, 3], sampling }))
    const greedy = await complete({ temperature: 0 })
    for (const one of [{ top_k: 1 }, { top_p: 0 }, { min_p: 1 }])
      expect(await complete({ temperature: 2, seed: 1, ...one })).toEqual(greedy)
    expect(await complete({ temperature: 2, seed: 1 })).not.toEqual(greedy)
    expect(await complete({ temperature: 0, repetition_penalty: 3 })).not.toEqual(greedy)
    expect(await complete({ temperature: 0, frequency_penalty: 2 })).not.toEqual(greedy)
    expect(new Set(await complete({ temperature: 2, logit_bias: { '5': 100 } }))).toEqual(new Set([5]))
  })

  const tooMany = Object.fromEntries(Array.from({ length: maxBiases + 1 }, (_, id) => [id, 1]))
  test.each<Omit<CompletionRequest, 'prompt'>>([
    { top_k: -1 },
    { top_k: 1.5 },
    { top_p: -0.1 },
    { top_p: 1.1 },
    { top_p: NaN },
    { min_p: 2 },
    { repetition_penalty: 0 },
    { repetition_penalty: Infinity },
    { presence_penalty: 2.1 },
    { frequency_penalty: -2.1 },
    { temperature: -1 },
    { seed: 0.5 },
    { logit_bias: { 1: 101 } },
    { logit_bias: { 24: 1 } },
    { logit_bias: { '-1': 1 } },
    { logit_bias: { '01': 1 } },
    { logit_bias: { a: 1 } },
    { logit_bias: tooMany },
  ])('are refused when out of range: %j', async (request) => {
    await expect(complete(request)).rejects.toMatchObject({ code: 'engine/input' })
  })

  test('are refused by a sentence that names setting and range', async () => {
    await expect(complete({ presence_penalty: 3 })).rejects.toThrow(
      '[engine/input] presence_penalty: expected a number from -2 to 2, got 3.',
    )
    await expect(complete({ logit_bias: { 7: -200 } })).rejects.toThrow(
      '[engine/input] logit_bias of token 7: expected a number from -100 to 100, got -200.',
    )
    await expect(complete({ logit_bias: tooMany })).rejects.toThrow('expected at most 64 tokens, got 65.')
  })
})
