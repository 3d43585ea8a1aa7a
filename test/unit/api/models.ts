// Models for tests of the API: the golden `gqa` (vocabulary of 96) in memory, with a tokenizer whose ids are bytes, so
// that every token is one ASCII character.

import { readFileSync } from 'node:fs'
import { createEngineOn, openModelStore, type LoadOptions, type OpenedModel } from '../../../src/api/model.ts'
import type { Engine } from '../../../src/api/types.ts'
import { memoryStore } from '../../../src/core/files.ts'
import type { Device } from '../../../src/device/device.ts'
import { createReferenceDevice } from '../../../src/device/reference/reference.ts'
import { fixturesDir } from '../../helpers/dirs.ts'
import { byteLevelTokenizer } from '../text/fixtures.ts'

export interface ApiModel {
  readonly hasTokenizer?: boolean
  readonly chatTemplate?: string | undefined
  /** Id that ends a text. */
  readonly eos?: number
  readonly device?: Device
  readonly options?: LoadOptions
  /** Makes the device after one that was lost. */
  readonly nextDevice?: (signal: AbortSignal) => Device | Promise<Device>
}

/** Upper case, since the vocabulary ends before the lower-case letters. */
export const upperTemplate: string =
  '{% for message in messages %}{{ message.role | upper }}: {{ message.content }}\n{% endfor %}' +
  '{% if add_generation_prompt %}ASSISTANT:{% endif %}'

/** Prompt of seven tokens whose greedy continuation PyTorch gave. */
export const prompt: readonly number[] = [66, 78, 75, 95, 63, 89, 52]
export const greedy: readonly number[] = [37, 12, 22, 90, 70, 81, 47, 88, 37, 46, 10, 74, 87, 32, 93, 77]

export const textOf = (tokens: readonly number[]): string => String.fromCodePoint(...tokens)

export async function openEngine({
  hasTokenizer = true,
  chatTemplate = upperTemplate,
  eos = 2,
  device = createReferenceDevice(),
  options = {},
  nextDevice,
}: ApiModel = {}): Promise<Engine> {
  const dir = `${fixturesDir}/golden/llama/gqa`
  const store = memoryStore('gqa', {
    'config.json': readFileSync(`${dir}/config.json`),
    'model.safetensors': readFileSync(`${dir}/model.safetensors`),
    'generation_config.json': JSON.stringify({ eos_token_id: eos }),
    ...(hasTokenizer && {
      'tokenizer.json': JSON.stringify(byteLevelTokenizer()),
      'tokenizer_config.json': JSON.stringify(chatTemplate === '' ? {} : { chat_template: chatTemplate }),
    }),
  })
  const allOptions = {
    dtype: 'f32',
    maxSeqLen: 64,
    maxNumSeqs: 3,
    maxNumBatchedTokens: 32,
    ...options,
  } as const
  const reopen = async (signal: AbortSignal): Promise<OpenedModel> => ({
    device: await nextDevice!(signal),
    model: await openModelStore(store),
  })
  return createEngineOn(device, await openModelStore(store), allOptions, nextDevice && reopen)
}

/** A reference device that counts its steps and takes a moment for each, as a GPU does. */
export function slowDevice(): { device: Device; numSteps: () => number } {
  const reference = createReferenceDevice()
  let numSteps = 0
  const device: Device = {
    ...reference,
    async run(...args) {
      numSteps++
      const result = await reference.run(...args)
      await new Promise((resolve) => setTimeout(resolve, 3))
      return result
    },
  }
  return { device, numSteps: () => numSteps }
}

export async function collect<T>(stream: AsyncIterable<T>): Promise<T[]> {
  const items: T[] = []
  for await (const item of stream) items.push(item)
  return items
}
