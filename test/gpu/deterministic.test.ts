// Batch invariance: under `deterministic` the logits of a sequence are the same bits whether it is decoded token by token,
// computed again in one prefill, or batched with others. The control shows that the fast kernels do differ.

import { describe, expect, test } from 'vitest'
import { openModelStore } from '../../src/api/model.ts'
import type { Device } from '../../src/device/device.ts'
import { BlockManager } from '../../src/engine/llm/blockManager.ts'
import type { ScheduledChunk } from '../../src/engine/llm/scheduler.ts'
import { Sequence } from '../../src/engine/llm/sequence.ts'
import { buildStepInputs } from '../../src/engine/llm/stepInputs.ts'
import { blockSize, planLlm, preparePlans, stepClasses, type LoadedPlans } from '../../src/engine/load.ts'
import { loadWeights } from '../../src/engine/loadWeights.ts'
import { directoryStore } from '../../src/node/directoryStore.ts'
import { StepWriter } from '../../src/plan/stepLayout.ts'
import { testDevice } from '../helpers/devices.ts'
import { modelsDir } from '../helpers/dirs.ts'

const maxSeqLen = 272
const sizes = { maxNumSeqs: 4, maxNumBatchedTokens: 64 }
/** Enough for keys in several tiles of attention. */
const numTokens = 140

/** Ids spread over the vocabulary, different for each sequence. */
const tokensOf = (sequence: number, length: number): number[] =>
  Array.from({ length }, (_, i) => ((i + 31 * sequence) * 7919 + 104_729) % 2048)

/** Plans of an engine for tiny-llama, but with logits as their result. */
class Model {
  readonly #device: Device
  readonly #loaded: LoadedPlans
  readonly #blocks = new BlockManager((4 * maxSeqLen) / blockSize, blockSize)

  private constructor(device: Device, loaded: LoadedPlans) {
    this.#device = device
    this.#loaded = loaded
  }

  static async load(device: Device, dtype: 'f32' | 'f16', deterministic: boolean): Promise<Model> {
    const { spec, checkpoint } = await openModelStore(directoryStore(`${modelsDir}/tiny-llama`))
    const shape = {
      ...sizes,
      dtype,
      maxSeqLen,
      numBlocks: (4 * maxSeqLen) / blockSize,
      head: 'logits',
    } as const
    const plans = planLlm(spec, { ...shape, deterministic }, stepClasses(sizes), device.capabilities)
    const weights = await loadWeights(device, plans, checkpoint)
    await checkpoint.close()
    return new Model(device, await preparePlans(device, plans, weights))
  }

  sequence(index: number, length: number): Sequence {
    const sampling = { temperature: 0, seed: [0, 0] } as const
    const promptTokens = tokensOf(index, length)
    const sequence = new Sequence({ promptTokens, maxNewTokens: 0, stopTokenIds: new Set(), sampling })
    sequence.row = index
    sequence.blockTable = Array.from({ length: Math.ceil(length / blockSize) }, () => this.#blocks.allocate())
    return sequence
  }

  /** Gives the blocks back. */
  end(sequence: Sequence): void {
    for (const block of sequence.blockTable) this.#blocks.free(block)
  }

  /** One step over the next tokens of some sequences: the bits of the logits after each one's last token. */
  async step(parts: readonly (readonly [Sequence, number])[]): Promise<Uint32Array[]> {
    const chunks = parts.map(([sequence, length]): ScheduledChunk => {
      const start = sequence.numComputed
      sequence.numComputed += length
      return { sequence, start, numTokens: length, samples: true }
    })
    const shape = { blockSize, maxBlocksPerSeq: maxSeqLen / blockSize }
    const { dims, values } = buildStepInputs(chunks, shape)
    const prepared = this.#loaded.plans.find(
      ({ plan }) => dims.T <= plan.maxima.T && dims.S <= plan.maxima.S,
    )!
    const step = new StepWriter(prepared.plan.step, prepared.plan.maxima).write(dims, values)
    const { logits } = await this.#device.run(prepared, step, ['logits'])
    const bits = new Uint32Array((logits!.data as Float32Array).buffer)
    const width = bits.length / parts.length
    return parts.map((_, row) => bits.slice(row * width, (row + 1) * width))
  }
}

/** Logits after the last of `numTokens` tokens, of which those before were decoded one at a time. */
async function decoded(model: Model): Promise<Uint32Array> {
  const sequence = model.sequence(0, numTokens)
  for (let i = 1; i < numTokens; i++) await model.step([[sequence, 1]])
  const [last] = await model.step([[sequence, 1]])
  model.end(sequence)
  return last!
}

/** As a preempted or recovered sequence is computed: in chunks as large as may be. */
async function replayed(model: Model): Promise<Uint32Array> {
  const sequence = model.sequence(0, numTokens)
  await model.step([[sequence, 64]])
  await model.step([[sequence, 64]])
  const [last] = await model.step([[sequence, numTokens - 128]])
  model.end(sequence)
  return last!
}

/** In the middle of three others: first in mixed steps of prefill and decode, then decoding together. */
async function batched(model: Model): Promise<Uint32Array> {
  const [a, b, c] = [1, 2, 3].map((index) => model.sequence(index, 60 * index))
  const sequence = model.sequence(0, numTokens)
  await model.step([
    [a!, 40],
    [sequence, 1],
    [b!, 7],
  ])
  for (let i = 0; i < 3; i++)
    await model.step([
      [a!, 1],
      [sequence, 43],
      [b!, 11],
      [c!, 9],
    ])
  for (let i = 130; i < numTokens - 1; i++)
    await model.step([
      [c!, 1],
      [sequence, 1],
      [a!, 1],
      [b!, 1],
    ])
  const [, last] = await model.step([
    [c!, 1],
    [sequence, 1],
    [a!, 1],
    [b!, 1],
  ])
  for (const one of [a!, b!, c!, sequence]) model.end(one)
  return last!
}

const sameAdapter = (device: Device): Device => device
/** Kernels for GPUs run here as well, only slower. */
const asGpu = (device: Device): Device => ({
  ...device,
  capabilities: { ...device.capabilities, adapterClass: 'gpu' },
})

describe.each([
  ['f32', 'this adapter', sameAdapter],
  ['f16', 'this adapter', sameAdapter],
  ['f32', 'a GPU', asGpu],
] as const)('%s with the kernels of %s', (dtype, _name, choose) => {
  test('logits are the same bits however a sequence is computed', async () => {
    const model = await Model.load(choose(await testDevice()), dtype, true)
    const expected = await decoded(model)
    expect(new Set(expected).size).toBeGreaterThan(1000)
    expect(await replayed(model)).toEqual(expected)
    expect(await batched(model)).toEqual(expected)
  })
})

test('logits are not the same bits where speed counts', async () => {
  const model = await Model.load(await testDevice(), 'f32', false)
  expect(await replayed(model)).not.toEqual(await decoded(model))
})
