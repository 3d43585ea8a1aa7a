// Files that a page was given, as a model: folders with and without their name, a GGUF file, and what is no model.

import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { openModelSource } from '../../../src/browser/modelSource.ts'
import { fileStore } from '../../../src/browser/fileStore.ts'
import { fixturesDir } from '../../helpers/dirs.ts'

const gqa = `${fixturesDir}/golden/llama/gqa`

/** As browsers give files of a picked folder; files of a drop have their name alone. */
function fileOf(path: string, content: BlobPart, picked = false): File {
  const file = new File([content], picked ? path.slice(path.lastIndexOf('/') + 1) : path)
  return Object.assign(file, { webkitRelativePath: picked ? path : '' })
}

const gqaFiles = (prefix: string, picked: boolean): File[] =>
  ['config.json', 'model.safetensors'].map((name) =>
    fileOf(`${prefix}${name}`, readFileSync(`${gqa}/${name}`), picked),
  )

test.each([
  ['picked with their folder', gqaFiles('gqa/', true), 'gqa'],
  ['named with their folder', gqaFiles('gqa/', false), 'gqa'],
  ['dropped one by one', gqaFiles('', false), 'files'],
])('files %s are a model', async (_how, files, name) => {
  const model = await openModelSource(files, {})
  expect(model).toMatchObject({ name, config: { vocabSize: 96 } })
  const weights = readFileSync(`${gqa}/model.safetensors`)
  const [tensor] = [...model.checkpoint.tensors.values()]
  const bytes = await model.checkpoint.read(tensor!.name, 0, 8)
  expect(weights.includes(Buffer.from(bytes))).toBe(true)
  await model.close()
})

const gguf = readFileSync(`${fixturesDir}/golden/gguf/gqa.gguf`)

test.each([
  ['a GGUF file', [fileOf('a.gguf', gguf)], 'a.gguf'],
  ['a GGUF file in capitals', [fileOf('A.GGUF', gguf)], 'A.GGUF'],
  ['a GGUF file of another name', [fileOf('sha256-1f', gguf)], 'sha256-1f'],
  ['a folder with one', [fileOf('m/a.gguf', gguf, true), fileOf('m/README.md', '', true)], 'm/a.gguf'],
  ['a folder with one of another name', [fileOf('m/blob', gguf, true), fileOf('m/b.md', '', true)], 'm/blob'],
])('%s is a model', async (_what, files, name) => {
  const model = await openModelSource(files, {})
  expect(model).toMatchObject({ name, config: { vocabSize: 96 } })
  await model.close()
})

test('folders inside the folder keep their names', async () => {
  const store = fileStore([
    fileOf('m/config.json', '{}', true),
    fileOf('m/unet/config.json', '{"a":1}', true),
  ])
  expect((await store.open('unet/config.json'))?.size).toBe(7)
  expect((await store.open('config.json'))?.size).toBe(2)
  expect(await store.open('m/config.json')).toBeUndefined()
})

test.each([
  ['no files', [], 'weights/missing'],
  ['files without a configuration', [fileOf('a', '')], 'weights/missing'],
  ['several GGUF files', [fileOf('a.gguf', gguf), fileOf('b.gguf', gguf)], 'weights/missing'],
  ['a pipeline', [fileOf('m/model_index.json', '{}', true), fileOf('m/a', '', true)], 'model/unsupported'],
  ['a bare name', 'tiny-llama', 'engine/input'],
  ['no name', '', 'engine/input'],
  ['random weights', 'synthetic:llama-15m', 'engine/input'],
  ['another protocol', 'ftp://x/y', 'engine/input'],
])('%s are no model', async (_name, source, code) => {
  await expect(openModelSource(source, {})).rejects.toMatchObject({ code })
})
