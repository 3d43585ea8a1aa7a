// The vocabularies of GPT-2, CLIP and llama2.c against Python's tokenizers. They are not in the repository:
// point TABHOPPER_TOKENIZERS to a folder with them, or the tests are skipped.
import { existsSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createTokenizer, type Tokenizer } from '../../../src/text/tokenizer.ts'
import { expectedIds } from './expectedIds.ts'
import { filesWith } from './fixtures.ts'

const folder = resolve(process.env['TABHOPPER_TOKENIZERS'] ?? '../shared/data/tokenizers')

function load(file: string): Tokenizer {
  return createTokenizer(
    filesWith(JSON.parse(readFileSync(join(folder, file), 'utf8')) as Record<string, unknown>),
  )
}

describe.each(Object.entries(expectedIds))('%s', (file, cases) => {
  const isAbsent = !existsSync(join(folder, file))
  const reason = isAbsent ? ` (skipped: no ${join(folder, file)})` : ''

  test.skipIf(isAbsent)(`ids are Python's${reason}`, () => {
    const tokenizer = load(file)
    expect(cases.map(([text]) => [text, tokenizer.encode(text)])).toEqual(cases)
  })

  test.skipIf(isAbsent)(`a stream of any ids gives what decode gives${reason}`, () => {
    const tokenizer = load(file)
    const ids = fc.array(fc.nat(tokenizer.vocabSize - 1), { maxLength: 60, size: 'max' })
    fc.assert(
      fc.property(ids, fc.boolean(), (ids, skipSpecialTokens) => {
        const stream = tokenizer.stream({ skipSpecialTokens })
        const text = ids.map((id) => stream.push(id)).join('') + stream.flush()
        expect(text).toBe(tokenizer.decode(ids, { skipSpecialTokens }))
      }),
    )
  })
})
