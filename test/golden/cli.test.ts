// The built command line as users run it: a child process, real models, exit codes. Skipped until it has been built.

import { spawnSync, type SpawnSyncReturns } from 'node:child_process'
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { beforeAll, describe, expect, it } from 'vitest'
import { directoryStore } from '../../src/node/directoryStore.ts'
import type { Checkpoint } from '../../src/weights/checkpoint.ts'
import { openCheckpoint } from '../../src/weights/sharded.ts'
import { readJson } from '../../src/core/files.ts'
import { fixturesDir, modelsDir } from '../helpers/dirs.ts'

const script = fileURLToPath(new URL('../../dist/cli.js', import.meta.url))
const isBuilt = existsSync(script)
const hasTinyLlama = existsSync(`${modelsDir}/tiny-llama/config.json`)
const gqa = `${fixturesDir}/golden/llama/gqa`

function tabhopper(args: readonly string[], input = ''): SpawnSyncReturns<string> {
  return spawnSync(process.execPath, [script, ...args], { encoding: 'utf8', input, timeout: 240_000 })
}

/** stderr without what Dawn's own libraries say there. */
function complaints({ stderr }: SpawnSyncReturns<string>): string[] {
  return stderr.split('\n').filter((line) => line !== '' && !line.startsWith('Warning: '))
}

const unless = isBuilt ? '' : ' (skipped: no dist/cli.js; run npm run build)'

describe.skipIf(!isBuilt)(`the built command line${unless}`, () => {
  describe('logits on the reference device', () => {
    let golden: Checkpoint
    let prompts: { name: string; tokens: number[] }[]

    beforeAll(async () => {
      const store = directoryStore(gqa)
      golden = await openCheckpoint(store, { stem: 'golden' })
      prompts = ((await readJson(store, 'golden.json', 2 ** 20)) as { prompts: typeof prompts }).prompts
      return () => golden.close()
    })

    it.each(['p1', 'p7', 'p33'])('equal those of PyTorch in f64 for prompt %s', async (name) => {
      const { tokens } = prompts.find((prompt) => prompt.name === name)!
      const result = tabhopper([
        'logits',
        '--model',
        gqa,
        '--tokens',
        tokens.join(),
        '--device',
        'reference',
        '--json',
      ])
      expect(complaints(result)).toEqual([])
      expect(result.status).toBe(0)
      const document = JSON.parse(result.stdout)
      expect(document).toMatchObject({ dtype: 'f32', tokens })
      expect(document.adapter).not.toBe('')
      const tensor = `${name}.logits.f64`
      const [rows, columns] = golden.tensors.get(tensor)!.shape as [number, number]
      const bytes = (await golden.read(tensor, 0, rows * columns)).slice()
      const expected = new Float64Array(bytes.buffer)
      expect(document.logits).toHaveLength(rows)
      const actual: number[] = document.logits.flat()
      expect(actual).toHaveLength(expected.length)
      const worst = actual.reduce((most, value, i) => Math.max(most, Math.abs(value - expected[i]!)), 0)
      expect(worst).toBeLessThan(1e-10)
    })
  })

  describe('generate', () => {
    const reason = hasTinyLlama ? '' : ' (skipped: no public/models/tiny-llama)'

    it.skipIf(!hasTinyLlama)(`prints one JSON document, the same for the same seed${reason}`, () => {
      const args = ['generate', '--prompt', 'Once upon a time', '--max-tokens', '6', '--seed', '3', '--json']
      const [first, second] = [tabhopper(args), tabhopper(args)]
      expect(complaints(first)).toEqual([])
      expect(first.status).toBe(0)
      const document = JSON.parse(first.stdout)
      expect(document).toEqual({
        model: 'tiny-llama',
        adapter: expect.stringMatching(/./),
        dtype: 'f16',
        seed: 3,
        text: expect.any(String),
        tokens: expect.any(Array),
        promptTokens: expect.any(Number),
        finishReason: expect.stringMatching(/^(stop|length)$/),
        timings: {
          ttftMs: expect.any(Number),
          tpotMs: expect.any(Number),
          prefillTokensPerSecond: expect.any(Number),
          decodeTokensPerSecond: expect.any(Number),
        },
      })
      expect(document.tokens.length).toBeLessThanOrEqual(6)
      const { text, tokens } = JSON.parse(second.stdout)
      expect({ text, tokens }).toEqual({ text: document.text, tokens: document.tokens })
    })

    it.skipIf(!hasTinyLlama)(`streams the text that its JSON has${reason}`, () => {
      const args = ['generate', '--prompt', '-', '--max-tokens', '6', '--temperature', '0']
      const streamed = tabhopper(args, 'Once upon a time\n')
      const { text } = JSON.parse(tabhopper([...args, '--json'], 'Once upon a time\n').stdout)
      expect(streamed.stdout).toBe(`${text}\n`)
    })

    it.skipIf(!hasTinyLlama)(`answers as chat does what is piped in${reason}`, () => {
      const result = tabhopper(['chat', '--max-tokens', '4', '--temperature', '0'], 'Tell me a story.')
      expect(complaints(result)).toEqual([])
      expect(result.status).toBe(0)
      expect(result.stdout.trim()).not.toBe('')
    })

    it('says that a model without a tokenizer has no text', () => {
      const result = tabhopper(['generate', '--model', gqa, '--prompt', 'x', '--device', 'reference'])
      expect(result.status).toBe(1)
      expect(complaints(result)).toEqual([
        expect.stringMatching(/^\[text\/tokenizer\] --prompt: expected a model with a tokenizer/),
      ])
    })
  })

  describe('failure', () => {
    it('is 2 for bad usage, with what was expected and what to do', () => {
      const result = tabhopper(['generate', '--prompt', 'x', '--max-tokens', '0'])
      expect(result).toMatchObject({ status: 2, stdout: '' })
      expect(result.stderr).toBe(
        '[cli/usage] --max-tokens: expected an integer of at least 1, got 0. Give such a number.\n',
      )
    })

    it('is 1 for a model that is not there', () => {
      const result = tabhopper([
        'logits',
        '--model',
        '/no/such/model',
        '--tokens',
        '1',
        '--device',
        'reference',
      ])
      expect(result).toMatchObject({ status: 1, stdout: '' })
      expect(result.stderr).toMatch(/^\[(weights|model)\/\w+\] .*: expected .*, got .*\. .*\.\n$/)
    })

    it('is 2 for a token beyond the vocabulary, with the flag', () => {
      const result = tabhopper([
        'logits',
        '--model',
        gqa,
        '--tokens',
        '96',
        '--device',
        'reference',
        '--json',
      ])
      expect(result).toMatchObject({ status: 2, stdout: '' })
      expect(complaints(result)).toEqual([
        expect.stringMatching(/^\[cli\/usage\] --tokens: expected token ids/),
      ])
    })
  })

  describe('the rest', () => {
    it('prints the version of the package', async () => {
      const { version } = (await readJson(
        directoryStore(fileURLToPath(new URL('../..', import.meta.url))),
        'package.json',
        2 ** 20,
      )) as { version: string }
      expect(tabhopper(['--version']).stdout).toBe(`${version}\n`)
    })

    it('inspects a model as one JSON document', () => {
      const result = tabhopper(['inspect', '--model', gqa, '--format', 'json'])
      expect(result.status).toBe(0)
      expect(JSON.parse(result.stdout)).toMatchObject({
        parameters: 60_736,
        memory: { totalBytes: expect.any(Number) },
      })
    })

    it('diagnoses this machine as one JSON document', () => {
      const result = tabhopper(['doctor', '--json'])
      expect(result.stderr).toBe('')
      const { adapter, drivers } = JSON.parse(result.stdout)
      expect(result.status).toBe(adapter === null ? 1 : 0)
      expect(Array.isArray(drivers)).toBe(true)
    })
  })
})
