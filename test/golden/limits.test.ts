// Models whose weights do not fit a binding, and adapters with nothing but what WebGPU guarantees: the same logits and
// greedy tokens of PyTorch as elsewhere. Bindings of a few KiB split every matrix of the goldens.

import { describe, expect, test } from 'vitest'
import { openModelStore } from '../../src/api/model.ts'
import { openDawnDevice } from '../../src/device/dawn/dawn.ts'
import type { Device } from '../../src/device/device.ts'
import { createReferenceDevice } from '../../src/device/reference/reference.ts'
import { LlmEngine } from '../../src/engine/llm/llmEngine.ts'
import { planLlm } from '../../src/engine/load.ts'
import type { SequenceParams } from '../../src/engine/llm/sequence.ts'
import type { Plan } from '../../src/plan/types.ts'
import { directoryStore } from '../../src/node/directoryStore.ts'
import { expectClose } from '../helpers/close.ts'
import { flatten, readGolden, type Golden, type GoldenPrompt } from '../helpers/golden.ts'

/** Bytes of a binding, by dtype: a third to two thirds of most matrices of the goldens. */
const bindingBytes = { f32: 12_288, f16: 6656 } as const
const accuracy = { f32: 1e-5, f16: 5e-3 } as const
/** Logits of a few tokens at a time, since activations are never split. */
const chunkSize = 6

type DType = keyof typeof bindingBytes

function limited(device: Device, maxBindingBytes: number): Device {
  return { ...device, capabilities: { ...device.capabilities, maxBindingBytes } }
}

async function load(golden: Golden, dtype: DType, device: Device): Promise<LlmEngine> {
  const model = await openModelStore(directoryStore(golden.dir))
  const options = { dtype, maxSeqLen: 64, maxNumSeqs: 1, maxNumBatchedTokens: chunkSize, numBlocks: 4 }
  const llm = await LlmEngine.load(device, model.spec, model.checkpoint, options)
  await model.close()
  return llm
}

async function expectGreedy(llm: LlmEngine, { tokens, greedy }: GoldenPrompt, length: number): Promise<void> {
  const params: SequenceParams = {
    promptTokens: tokens,
    maxNewTokens: length,
    stopTokenIds: new Set(),
    sampling: { temperature: 0, seed: [0, 0] },
  }
  const actual: number[] = []
  for await (const { token } of llm.generate(params)) actual.push(token)
  expect(actual).toEqual(greedy.slice(0, length))
}

function chunksOf({ tokens }: GoldenPrompt): number[] {
  const { length } = tokens
  return Array.from({ length: Math.ceil(length / chunkSize) }, (_, i) =>
    Math.min(chunkSize, length - i * chunkSize),
  )
}

/** Every prompt that fits 64 tokens: logits within `limit` of `expected`, and the first `numGreedy` greedy tokens. */
async function expectGolden(
  golden: Golden,
  llm: LlmEngine,
  expected: 'f32' | 'f64',
  limit: number,
  numGreedy: number,
): Promise<void> {
  const prompts = golden.prompts.filter(({ tokens }) => tokens.length <= 33)
  expect(prompts.length).toBeGreaterThan(1)
  for (const prompt of prompts) {
    const logits = await llm.logits(prompt.tokens, { chunks: chunksOf(prompt) })
    expectClose(flatten(logits), await golden.array(`${prompt.name}.logits.${expected}`), limit, prompt.name)
    await expectGreedy(llm, prompt, numGreedy)
  }
}

/** Origins of the matrices that were split. */
function splitOrigins({ dispatches }: Plan): Set<string> {
  return new Set(dispatches.flatMap(({ origin }) => /^(.*)\[\d+:\d+\]$/.exec(origin)?.[1] ?? []))
}

// Untied; tied; biases everywhere with an odd vocabulary.
describe.each(['gqa', 'mqa-tied', 'llama3-biases'])('%s over bindings of a few KiB', (name) => {
  test.each(['f32', 'f16'] as const)('has matrices of every kind split in %s', async (dtype) => {
    const golden = await readGolden(name)
    const model = await openModelStore(directoryStore(golden.dir))
    await model.close()
    const { capabilities } = limited(createReferenceDevice(), bindingBytes[dtype])
    const shape = { dtype, maxSeqLen: 64, maxNumSeqs: 1, numBlocks: 4, head: 'logits' } as const
    const [plan] = planLlm(model.spec, shape, [{ T: 6, S: 1, R: 6 }], capabilities)
    const layer = ['attn.q_proj+k_proj+v_proj', 'mlp.gate_proj+up_proj', 'mlp.down_proj']
    const expected = ['embed_tokens', ...layer.map((part) => `layers.1.${part}`), 'lm_head']
    expect([...splitOrigins(plan!)]).toEqual(expect.arrayContaining(expected))
  })

  test('gives the f64 logits of PyTorch on the reference device', async () => {
    const golden = await readGolden(name)
    const llm = await load(golden, 'f32', limited(createReferenceDevice(), bindingBytes.f32))
    await expectGolden(golden, llm, 'f64', 1e-10, 3)
    await llm.dispose()
  })

  test.each([
    ['f32', 'packed'],
    ['f16', 'packed'],
    ['f16', 'native'],
  ] as const)('is close to PyTorch in %s (%s halves)', async (dtype, half) => {
    const golden = await readGolden(name)
    const device = await openDawnDevice({ half })
    const llm = await load(golden, dtype, limited(device, bindingBytes[dtype]))
    await expectGolden(golden, llm, 'f32', accuracy[dtype], dtype === 'f32' ? 16 : 4)
    await llm.dispose()
    device.dispose()
  })
})

describe('on a device with the minimum limits of WebGPU, which Dawn enforces', () => {
  test('there is no feature and no larger limit', async () => {
    const device = await openDawnDevice({ limits: 'minimum' })
    expect(device.capabilities).toMatchObject({
      subgroups: false,
      nativeF16: false,
      maxInvocationsPerWorkgroup: 256,
      maxWorkgroupBytes: 16_384,
      maxWorkgroupsPerDimension: 65_535,
      maxBindingBytes: 2 ** 27,
      maxBufferBytes: 2 ** 28,
    })
    device.dispose()
  })

  test.each(['gqa', 'llama3-biases', 'head256-linear'])('%s is close to PyTorch', async (name) => {
    const golden = await readGolden(name)
    for (const dtype of ['f32', 'f16'] as const) {
      const device = await openDawnDevice({ limits: 'minimum' })
      const llm = await load(golden, dtype, device)
      await expectGolden(golden, llm, 'f32', accuracy[dtype], dtype === 'f32' ? 16 : 4)
      await llm.dispose()
      device.dispose()
    }
  })
})
