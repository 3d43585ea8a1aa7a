// What a name given to Node means: files by their bytes, folders by what they hold, and errors that tell what to write.

import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { afterAll, afterEach, describe, expect, test, vi } from 'vitest'
import { createEngine, openModel } from '../../../src/node.ts'
import { fixturesDir } from '../../helpers/dirs.ts'

const root = mkdtempSync(join(tmpdir(), 'tabhopper-names-'))
afterAll(() => rmSync(root, { recursive: true }))
afterEach(() => vi.unstubAllEnvs())

const gqa = `${fixturesDir}/golden/llama/gqa`
const gguf = `${fixturesDir}/golden/gguf/gqa.gguf`

/** A folder with files of a model, or of a text, by name. */
function folder(name: string, files: Record<string, { from: string } | string>): string {
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(join(root, name, path, '..'), { recursive: true })
    if (typeof content === 'string') writeFileSync(join(root, name, path), content)
    else copyFileSync(content.from, join(root, name, path))
  }
  return join(root, name)
}

const open = async (model: string): Promise<{ name: string; vocabSize: number }> => {
  const loaded = await openModel(model)
  await loaded.close()
  return { name: loaded.name, vocabSize: loaded.config.vocabSize }
}

const whole = { from: gguf }
const config = { from: `${gqa}/config.json` }
const weights = { from: `${gqa}/model.safetensors` }

describe('a model is', () => {
  const files = folder('files', { 'no-extension': whole, 'LOUD.GGUF': whole, 'blob.bin': whole })

  test.each(['no-extension', 'LOUD.GGUF', 'blob.bin'])('the GGUF file %s', async (file) => {
    expect(await open(join(files, file))).toEqual({ name: `files/${file}`, vocabSize: 96 })
  })

  test.each([
    ['one GGUF file', { 'a.gguf': whole, 'README.md': '' }, 'a.gguf'],
    ['one GGUF file in capitals', { 'A.GGUF': whole }, 'A.GGUF'],
    ['one GGUF file and a configuration', { 'a.gguf': whole, 'config.json': config }, 'a.gguf'],
    ['one GGUF file by its bytes', { blob: whole, 'README.md': '', empty: '' }, 'blob'],
  ])('a folder with %s', async (name, content, file) => {
    expect(await open(folder(name, content))).toEqual({ name: `${name}/${file}`, vocabSize: 96 })
  })

  test('a folder with safetensors, whatever else is in it', async () => {
    const both = folder('both', { 'config.json': config, 'model.safetensors': weights, 'a.gguf': whole })
    expect(await open(both)).toEqual({ name: 'both', vocabSize: 96 })
  })
})

describe('an error helps with', () => {
  test.each([
    ['an unknown name', 'nosuch', /missing\] nosuch: .*an embedded model \(tiny-llama\), got nothing .*hub/],
    ['a slip', 'tiny-lama', /\[weights\/missing\] tiny-lama: .* Did you mean tiny-llama\?/],
    ['capitals', 'Tiny_LLaMA', /Did you mean tiny-llama\?/],
    ['a slip in one that is not supported', 'tiny-sdlx', /\[weights\/missing\].* Did you mean tiny-sdxl\?/],
    ['pictures', 'tiny-sdxl', /\[model\/unsupported\] tiny-sdxl: .* not supported yet\. Use tiny-llama/],
    ['GPT-J', 'tiny-gptj', /\[model\/unsupported\] tiny-gptj: .* not supported yet\. Use tiny-llama/],
    ['random weights', 'synthetic:llama-15m', /\[engine\/input\] model: .*synthetic.*tabhopper bench/],
    ['another protocol', 'ftp://x/y', /\[engine\/input\] model: .*https address, got "ftp:\/\/x\/y"/],
    ['a file URL', 'file:///a/b', /\[engine\/input\] model: .*Give the path alone/],
    ['nothing', '', /\[engine\/input\] model: .*got ""/],
    ['blanks', ' ', /\[engine\/input\] model: .*got " "/],
    ['a path to nothing', '/no/such/folder', /\[weights\/missing\] \/no\/such\/folder: .*got nothing/],
    ['a file that is not there', './no.gguf', /\[weights\/missing\] \.\/no\.gguf: .*got nothing/],
    ['half an address', 'http://', /\[engine\/input\] model: .*http or https URL, got http:\/\/\./],
    ['one file on a server', 'http://127.0.0.1:9/a/config.json', /\[engine\/input\].* Give http:\S+9\/a\/\./],
  ])('%s', async (_what, model, message) => {
    await expect(openModel(model)).rejects.toThrow(message)
    await expect(createEngine({ model })).rejects.toThrow(message)
  })

  test.each([
    ['several GGUF files', { 'a.gguf': whole, 'b.gguf': whole }, '', /the files a\.gguf, b\.gguf\. Name one/],
    [
      'several by their bytes',
      { a: whole, b: whole },
      '',
      /the files a, b\. Name one of them, such as .*bytes\/a\./,
    ],
    ['weights that torch wrote', { 'config.json': config, 'x.bin': '' }, '', /neither .* convert \.bin/],
    ['no model at all', { 'notes.txt': '' }, '', /\[weights\/missing\] \S+\/no model at all: .*neither/],
    [
      'a missing configuration',
      { 'model.safetensors': weights },
      '',
      /a missing configuration: expected config\.json/,
    ],
    ['a pipeline', { 'model_index.json': '{}' }, '', /\[model\/unsupported\].* not supported yet/],
    [
      'one file of a folder',
      { 'config.json': config },
      '/config.json',
      /Give the folder \/.*one file of a folder instead\./,
    ],
    [
      'weights alone',
      { 'a.safetensors': weights },
      '/a.safetensors',
      /Put config\.json .* give the folder \/.*weights alone instead\./,
    ],
    ['a file of another kind', { 'a.txt': 'text' }, '/a.txt', /\[weights\/format\].*a GGUF file/],
    ['a name that lies', { 'a.gguf': 'no letters' }, '/a.gguf', /\[weights\/format\].*the letters GGUF/],
    ['an empty file', { 'a.bin': '' }, '/a.bin', /\[weights\/format\].*a GGUF file/],
  ])('%s', async (name, files, path, message) => {
    await expect(openModel(folder(name, files) + path)).rejects.toThrow(message)
  })
})

test('errors name files as they are found from where one stands', async () => {
  const damaged = relative('.', folder('damaged', { 'bad.gguf': 'GGUF', 'config.json': '{' }))
  for (const name of [damaged, `${damaged}/bad.gguf`])
    await expect(openModel(name)).rejects.toMatchObject({ where: `${damaged}/bad.gguf` })
  folder('damaged', { 'model.safetensors': 'short' })
  await expect(openModel(`${damaged}/`)).rejects.toMatchObject({ where: `${damaged}/config.json` })
  folder('damaged', { 'config.json': readFileSync(config.from, 'utf8') })
  await expect(openModel(damaged)).rejects.toMatchObject({ where: `${damaged}/model.safetensors` })
})

test.each(['not an address', 'ftp://hub', 'hub.example'])('HF_ENDPOINT=%s is a mistake', async (endpoint) => {
  vi.stubEnv('HF_ENDPOINT', endpoint)
  await expect(openModel('owner/name')).rejects.toThrow(/\[engine\/input\] HF_ENDPOINT: .*http/)
})
