// Hostile model folders and GGUF metadata: whatever stands in config.json, tokenizer.json, the index of shards or a GGUF
// header's pairs, a model opens and is planned, or ends in one of our faults; soon, since nothing is planned before its
// sizes have been compared with the weights.

import { readFileSync } from 'node:fs'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { engineOptions, openModelStore, type LoadedModel } from '../../src/api/model.ts'
import { RuntimeFault } from '../../src/core/errors.ts'
import { memorySource, memoryStore } from '../../src/core/files.ts'
import { isRecord } from '../../src/core/values.ts'
import { fitPlans } from '../../src/engine/fit.ts'
import { readLlamaConfig } from '../../src/models/llama/config.ts'
import { ggufTokenizerFiles } from '../../src/text/ggufTokenizer.ts'
import { createTokenizer } from '../../src/text/tokenizer.ts'
import { ggufConfig } from '../../src/weights/gguf/config.ts'
import { openGguf } from '../../src/weights/gguf/gguf.ts'
import type { GgufValue } from '../../src/weights/gguf/header.ts'
import { fixturesDir } from '../helpers/dirs.ts'
import { minimalCapabilities } from '../unit/models/tinyLlama.ts'
import { byteLevelTokenizer } from '../unit/text/fixtures.ts'

const dir = `${fixturesDir}/golden/llama/gqa`
const weights = readFileSync(`${dir}/model.safetensors`)
const config = JSON.parse(readFileSync(`${dir}/config.json`, 'utf8')) as Record<string, unknown>
const index = {
  metadata: { total_size: 1 },
  weight_map: { 'model.norm.weight': 'model-1.safetensors', 'lm_head.weight': 'model-1.safetensors' },
}

/** What stands where something else should: other types, and numbers that look like sizes. */
const oddValue = fc.oneof(
  fc.constantFrom(
    0,
    1,
    2,
    3,
    7,
    48,
    96,
    -1,
    0.5,
    2 ** 20,
    2 ** 26,
    5e7,
    2 ** 31,
    2 ** 53,
    1e308,
    NaN,
    Infinity,
  ),
  fc.constantFrom(
    null,
    true,
    '',
    'BPE',
    '../x.safetensors',
    'model-1.safetensors',
    [],
    {},
    [null],
    ['a', 'b'],
  ),
  fc.jsonValue({ maxDepth: 2 }),
)

interface Edit {
  /** Which of the values inside, by a number that wraps round. */
  readonly at: number
  readonly value: unknown
  readonly isRemoval: boolean
}

const edits = fc.array(fc.record({ at: fc.nat(), value: oddValue, isRemoval: fc.boolean() }), {
  minLength: 1,
  maxLength: 3,
})

/** A copy with some values inside replaced or removed. */
function edited(json: unknown, changes: readonly Edit[]): unknown {
  const copy: unknown = structuredClone(json)
  for (const { at, value, isRemoval } of changes) {
    const places = placesOf(copy)
    const place = places[at % places.length]
    if (place === undefined) continue
    if (isRemoval) delete place.parent[place.key]
    // A copy: a later edit may land inside it, and the next run has the same value.
    else place.parent[place.key] = structuredClone(value)
  }
  return copy
}

function placesOf(value: unknown): { parent: Record<string, unknown>; key: string }[] {
  if (typeof value !== 'object' || value === null) return []
  const parent = value as Record<string, unknown>
  // Long lists are all alike; a few of their items will do.
  return Object.keys(parent)
    .slice(0, 12)
    .flatMap((key) => [{ parent, key }, ...placesOf(parent[key])])
}

/** What `work` throws that is no fault of ours; undefined if there is nothing of the kind. */
async function foreignError(work: () => Promise<unknown>): Promise<unknown> {
  try {
    await work()
    return undefined
  } catch (error) {
    return error instanceof RuntimeFault && error.code !== 'internal' ? undefined : error
  }
}

async function hasNoForeignError(work: () => Promise<unknown>): Promise<void> {
  expect(await foreignError(work)).toBeUndefined()
}

async function openAndPlan(files: Record<string, unknown>): Promise<void> {
  const contents = Object.entries(files).map(([name, file]) => [
    name,
    isRecord(file) && !(file instanceof Uint8Array) ? JSON.stringify(file) : (file as Uint8Array),
  ])
  const model = await openModelStore(memoryStore('hostile', Object.fromEntries(contents)))
  plan(model)
  if (model.tokenizer !== undefined) model.tokenizer.encode('Once upon a time')
  await model.close()
}

function plan({ name, spec }: Pick<LoadedModel, 'name' | 'spec'>): void {
  fitPlans(name, spec, engineOptions(spec.config, { maxMemory: 2 ** 30 }), minimalCapabilities)
}

const options = { timeout: 120_000 }

describe('whatever stands in', () => {
  test('config.json', options, async () => {
    await fc.assert(
      fc.asyncProperty(edits, (changes) =>
        hasNoForeignError(() =>
          openAndPlan({ 'config.json': edited(config, changes), 'model.safetensors': weights }),
        ),
      ),
      { numRuns: 300 },
    )
  })

  test('tokenizer.json and its companions', options, async () => {
    const rest = { tokenizer_config: { chat_template: '{{ messages[0].content }}', eos_token: '<|end|>' } }
    await fc.assert(
      fc.asyncProperty(edits, edits, (changes, others) => {
        const { tokenizer_config } = edited(rest, others) as Record<string, unknown>
        return hasNoForeignError(() =>
          openAndPlan({
            'config.json': config,
            'model.safetensors': weights,
            'tokenizer.json': edited(byteLevelTokenizer(), changes),
            ...(isRecord(tokenizer_config) && { 'tokenizer_config.json': tokenizer_config }),
          }),
        )
      }),
      { numRuns: 300 },
    )
  })

  test('the index of shards', options, async () => {
    await fc.assert(
      fc.asyncProperty(edits, (changes) =>
        hasNoForeignError(() =>
          openAndPlan({
            'config.json': config,
            'model.safetensors.index.json': edited(index, changes),
            'model-1.safetensors': weights,
          }),
        ),
      ),
      { numRuns: 300 },
    )
  })

  test.each(['gqa', 'spm', 'bpe', 'llama', 'qwen2'])(
    'the pairs of a GGUF header: %s',
    options,
    async (name) => {
      const bytes = readFileSync(`${fixturesDir}/golden/gguf/${name}.gguf`)
      const gguf = await openGguf(memorySource(name, bytes))
      const keys = [...gguf.metadata.keys()]
      await fc.assert(
        fc.asyncProperty(edits, (changes) =>
          hasNoForeignError(async () => {
            const metadata = new Map(gguf.metadata)
            for (const { at, value, isRemoval } of changes) {
              const key = keys[at % keys.length]!
              if (isRemoval) metadata.delete(key)
              else metadata.set(key, structuredClone(value) as GgufValue)
            }
            const files = ggufTokenizerFiles(name, metadata)
            if (files !== undefined) createTokenizer(files).encode('Once upon a time')
            readLlamaConfig(ggufConfig({ ...gguf, metadata }))
          }),
        ),
        { numRuns: 200 },
      )
      await gguf.checkpoint.close()
    },
  )
})

test.each([
  { num_hidden_layers: 50_000_000 },
  { num_hidden_layers: 1000 },
  { vocab_size: 2 ** 26, hidden_size: 2 ** 20 },
  { intermediate_size: 2 ** 26 },
])('sizes that the weights do not have are refused at once: %j', options, async (claim) => {
  const begin = performance.now()
  const opening = openAndPlan({ 'config.json': { ...config, ...claim }, 'model.safetensors': weights })
  await expect(opening).rejects.toThrow(/^\[(model\/config|weights\/(missing|shape))\]/)
  expect(performance.now() - begin).toBeLessThan(2000)
})
