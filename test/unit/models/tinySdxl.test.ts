// The committed folder of tiny-sdxl: files, sizes, tensors against what diffusers and transformers count. Not whether it was
// trained well (its card says that), nor a run of the model.

import { readdirSync, readFileSync, statSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { memorySource } from '../../../src/core/files.ts'
import type { Checkpoint } from '../../../src/weights/checkpoint.ts'
import { decodeF32 } from '../../../src/weights/decode.ts'
import { openSafetensors } from '../../../src/weights/safetensors.ts'
import { modelsDir } from '../../helpers/dirs.ts'

const dir = `${modelsDir}/tiny-sdxl`

function readJson(path: string): Record<string, unknown> {
  return JSON.parse(readFileSync(`${dir}/${path}`, 'utf8')) as Record<string, unknown>
}

async function open(path: string): Promise<Checkpoint> {
  return openSafetensors(memorySource(path, readFileSync(`${dir}/${path}`)))
}

const numElements = (shape: readonly number[]): number =>
  shape.reduce((product, length) => product * length, 1)

describe('the folder', () => {
  test('has the parts of an SDXL pipeline and is at most 8 MB', () => {
    const files = readdirSync(dir, { recursive: true, encoding: 'utf8' })
    expect(files).toEqual(
      expect.arrayContaining([
        'README.md',
        'model_index.json',
        'scheduler/scheduler_config.json',
        ...['tokenizer', 'tokenizer_2'].flatMap((name) =>
          ['vocab.json', 'merges.txt', 'tokenizer_config.json', 'special_tokens_map.json'].map(
            (file) => `${name}/${file}`,
          ),
        ),
      ]),
    )
    const bytes = files.reduce((sum, file) => sum + statSync(`${dir}/${file}`).size, 0)
    expect(bytes).toBeLessThanOrEqual(8e6)
    expect(readJson('model_index.json')).toMatchObject({
      _class_name: 'StableDiffusionXLPipeline',
      text_encoder_2: ['transformers', 'CLIPTextModelWithProjection'],
      scheduler: ['diffusers', 'EulerDiscreteScheduler'],
    })
  })

  test('pads its two prompts by different rules, as SDXL does', () => {
    expect(readJson('tokenizer/special_tokens_map.json')).toMatchObject({ pad_token: '<|endoftext|>' })
    expect(readJson('tokenizer_2/special_tokens_map.json')).toMatchObject({ pad_token: '!' })
  })

  test('has a UNet of three levels, of which the first attends to nothing', () => {
    expect(readJson('unet/config.json')).toMatchObject({
      addition_embed_type: 'text_time',
      down_block_types: ['DownBlock2D', 'CrossAttnDownBlock2D', 'CrossAttnDownBlock2D'],
      transformer_layers_per_block: [1, 1, 2],
      use_linear_projection: true,
    })
  })
})

describe.each([
  ['unet/diffusion_pytorch_model.safetensors', 3_219_076, 'conv_in.weight', [32, 4, 3, 3]],
  ['vae/diffusion_pytorch_model.safetensors', 212_391, 'post_quant_conv.weight', [4, 4, 1, 1]],
  ['text_encoder/model.safetensors', 118_128, 'text_model.final_layer_norm.weight', [48]],
  ['text_encoder_2/model.safetensors', 295_440, 'text_projection.weight', [80, 80]],
] as const)('%s', (path, numParameters, name, shape) => {
  test('has every parameter, in f16', async () => {
    const { tensors } = await open(path)
    const all = [...tensors.values()]
    expect(all.reduce((sum, tensor) => sum + numElements(tensor.shape), 0)).toBe(numParameters)
    expect(new Set(all.map(({ dtype }) => dtype))).toEqual(new Set(['f16']))
    expect(tensors.get(name)?.shape).toEqual(shape)
  })

  test('is finite', async () => {
    const checkpoint = await open(path)
    const broken: string[] = []
    for (const tensor of checkpoint.tensors.values()) {
      const values = decodeF32('f16', await checkpoint.read(tensor.name, 0, numElements(tensor.shape)))
      if (!values.every(Number.isFinite)) broken.push(tensor.name)
    }
    expect(broken).toEqual([])
  })
})
