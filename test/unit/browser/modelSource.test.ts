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

test('one .gguf file is a model', async () => {
  const bytes = readFileSync(`${fixturesDir}/golden/gguf/gqa.gguf`)
  const opening = openModelSource([fileOf('a.gguf', bytes)], {})
  await expect(opening.then(({ name }) => name)).resolves.toBe('a.gguf')
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
  ['a bare name', 'tiny-llama', 'engine/input'],
])('%s are no model', async (_name, source, code) => {
  await expect(openModelSource(source, {})).rejects.toMatchObject({ code })
})
