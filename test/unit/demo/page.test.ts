// Small decisions of the chat page: settings that were kept, seeds, advice where WebGPU is missing, Markdown in blocks.

import { describe, expect, test } from 'vitest'
import { MarkdownBlocks } from '../../../demo/chat/markdown.ts'
import { chosenFiles } from '../../../demo/shared/modelFiles.ts'
import { defaultSettings, parseSeed, restoredSettings } from '../../../demo/chat/settings.ts'
import { missingAdapter, missingWebGpu } from '../../../demo/shared/webgpu.ts'

describe('settings', () => {
  test('come back as they were kept', () => {
    const kept = {
      ...defaultSettings,
      theme: 'dark',
      model: 'owner/name',
      sampling: { ...defaultSettings.sampling, temperature: 1.2, seed: 7 },
    }
    expect(restoredSettings(kept)).toEqual(kept)
  })

  test('that make no sense are the defaults', () => {
    const broken = {
      theme: 'pink',
      model: 3,
      sampling: { temperature: -1, topP: 'x', seed: 1.5, maxTokens: 64 },
    }
    const { sampling } = defaultSettings
    expect(restoredSettings(broken)).toEqual({ ...defaultSettings, sampling: { ...sampling, maxTokens: 64 } })
    expect(restoredSettings(undefined)).toEqual(defaultSettings)
  })

  test.each([
    ['', { seed: undefined }],
    [' 42 ', { seed: 42 }],
    ['-1', undefined],
    ['1e3', undefined],
    ['99999999999999999999', undefined],
  ])('read the seed %j', (text, expected) => expect(parseSeed(text)).toEqual(expected))
})

describe('advice', () => {
  const firefox = 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0'
  const chrome = 'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/110.0.0.0 Safari/537.36'
  test.each([
    [{ hasGpu: false, isSecure: false, userAgent: chrome }, 'localhost'],
    [{ hasGpu: false, isSecure: true, userAgent: chrome }, 'chrome://flags'],
    [{ hasGpu: false, isSecure: true, userAgent: firefox }, 'about:config'],
    [{ hasGpu: false, isSecure: true, userAgent: 'Version/17.0 Safari/605.1' }, 'version 26'],
  ])('fits %o', (surroundings, expected) => {
    expect(missingWebGpu(surroundings)?.steps.join()).toContain(expected)
  })

  test('is none where WebGPU is', () => {
    expect(missingWebGpu({ hasGpu: true, isSecure: true, userAgent: chrome })).toBeUndefined()
  })

  test('without an adapter tells Chromium on Linux its flags', () => {
    expect(missingAdapter(chrome).steps.join()).toContain('--enable-features=Vulkan')
    expect(missingAdapter(firefox).steps).toHaveLength(1)
  })
})

describe('blocks of Markdown', () => {
  const text =
    '# Title\n\nOne *two*.\nThree.\n\n- a\n- b\n\n```js\nx\n\ny\n```\n\n| a |\n|---|\n| 1 |\n\nEnd.\n'

  test('are the same however the text arrives', () => {
    const whole = new MarkdownBlocks().update(text)
    expect(whole).toHaveLength(6)
    const growing = new MarkdownBlocks()
    for (let length = 1; length < text.length; length++) {
      const part = text.slice(0, length)
      expect(growing.update(part).join('').trimEnd()).toBe(part.trimEnd())
    }
    expect(growing.update(text)).toEqual(whole)
  })

  test('begin anew when the text is another', () => {
    const blocks = new MarkdownBlocks()
    blocks.update(text)
    expect(blocks.update('Other.\n\nText.')).toEqual(['Other.\n\n', 'Text.'])
  })
})

describe('chosen files', () => {
  const file = (path: string): File =>
    ({ name: path.split('/').at(-1), webkitRelativePath: path.includes('/') ? path : '' }) as File

  test('of a folder have its name, without folders below', () => {
    const files = [file('llama/config.json'), file('llama/onnx/model.onnx')]
    expect(chosenFiles(files)).toEqual({ kind: 'files', label: 'llama', files: [files[0]] })
  })

  test('are one file, or nothing', () => {
    const gguf = file('model.gguf')
    expect(chosenFiles([gguf])).toEqual({ kind: 'files', label: 'model.gguf', files: [gguf] })
    expect(chosenFiles([])).toBeUndefined()
  })
})
