import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createTokenizer, loadTokenizer, type Tokenizer } from '../../../src/text/tokenizer.ts'
import { memoryStore } from '../../../src/core/files.ts'
import { byteLevelTokenizer, byteSymbols, filesWith, llamaTokenizer } from './fixtures.ts'

const byteLevel = createTokenizer(filesWith(byteLevelTokenizer()))
const llama = createTokenizer(filesWith(llamaTokenizer()))
const anyText = fc.string({ unit: 'binary', maxLength: 40 })

const bytesAsIds = (text: string): number[] => [...new TextEncoder().encode(text)]

describe('byte-level BPE', () => {
  test('merges in order and keeps the bytes', () => {
    expect(byteSymbols.slice(30, 36).join('')).toBe('ĞğĠ!"#')
    expect(byteLevel.vocabSize).toBe(264)
    expect(byteLevel.encode('hello world')).toEqual([259, 260, ...bytesAsIds('orld')])
    expect(byteLevel.encode('a 🦊<|end|>')).toEqual([...bytesAsIds('a'), 262, 0xa6, 0x8a, 263])
    expect(byteLevel.encode('')).toEqual([])
    expect(byteLevel.decode([])).toBe('')
  })

  test('special tokens are left out unless asked for', () => {
    expect(byteLevel.decode([259, 263])).toBe('hello')
    expect(byteLevel.decode([259, 263], { skipSpecialTokens: false })).toBe('hello<|end|>')
  })

  test('every text comes back', () => {
    fc.assert(
      fc.property(anyText, (text) => {
        expect(byteLevel.decode(byteLevel.encode(text))).toBe(text)
      }),
    )
  })

  test('spaces before punctuation stay', () => {
    expect(byteLevel.decode(byteLevel.encode("a . b , n't !"))).toBe("a . b , n't !")
  })
})

describe('byte fallback', () => {
  test('BOS, a leading space and bytes for what the vocabulary lacks', () => {
    expect(llama.encode('hello z')).toEqual([1, 274, 259, 3 + 0x7a])
    expect(llama.encode('hello', { addSpecialTokens: false })).toEqual([274])
    expect(llama.decode([1, 274, 259, 3 + 0x7a])).toBe('hello z')
  })

  test('every text comes back', () => {
    // The library drops U+FEFF where it comes from bytes.
    const text = anyText.filter((text) => !text.includes('\ufeff'))
    fc.assert(
      fc.property(text, (text) => {
        expect(llama.decode(llama.encode(text))).toBe(text)
      }),
    )
  })
})

describe('stream', () => {
  function streamed(tokenizer: Tokenizer, ids: readonly number[], skipSpecialTokens: boolean): string[] {
    const stream = tokenizer.stream({ skipSpecialTokens })
    return [...ids.map((id) => stream.push(id)), stream.flush()]
  }

  test('holds a character back until its last byte', () => {
    expect(streamed(byteLevel, byteLevel.encode('a 🦊!'), true)).toEqual(['a', ' ', '', '🦊', '!', ''])
    const fox = [...new TextEncoder().encode('🦊')].map((byte) => 3 + byte)
    expect(streamed(llama, [274, ...fox, 274], true)).toEqual(['hello', '', '', '', '🦊', ' hello', ''])
  })

  test('drops a leading space at the start only', () => {
    expect(streamed(llama, [1, 274, 2, 274, 259, 259, 274], true)).toEqual([
      '',
      'hello',
      '',
      ' hello',
      ' ',
      ' ',
      ' hello',
      '',
    ])
  })

  test('a token without text does not pass for the start', () => {
    // The library decodes the bytes of U+FEFF to nothing.
    const empty = [0xef, 0xbb, 0xbf].map((byte) => 3 + byte)
    expect(streamed(llama, [274, ...empty, 274], true).join('')).toBe('hello hello')
  })

  test('flush gives up on an incomplete character and starts anew', () => {
    const stream = llama.stream()
    expect([stream.push(274), stream.push(3 + 0xf0), stream.flush()]).toEqual(['hello', '', '\ufffd'])
    expect([stream.push(274), stream.flush()]).toEqual(['hello', ''])
  })

  test.each([
    ['byte-level', byteLevel],
    ['byte fallback', llama],
  ])('any ids give what decode gives: %s', (_, tokenizer) => {
    // Few distinct bytes, so that characters come about, and repeated runs, so that the window has to be cut.
    const bytes = tokenizer === llama ? 3 : 0
    const id = fc.oneof(
      fc.nat(tokenizer.vocabSize - 1),
      fc.constantFrom(
        ...[0x20, 0x41, 0x80, 0xbf, 0xe2, 0xf0, 0x9f, 0xef, 0xbb, 0xbd].map((byte) => bytes + byte),
      ),
    )
    const run = fc
      .tuple(fc.array(id, { minLength: 1, maxLength: 3 }), fc.constantFrom(1, 1, 1, 9, 30))
      .map(([ids, times]) => Array.from({ length: times }, () => ids).flat())
    fc.assert(
      fc.property(fc.array(run, { maxLength: 6 }), fc.boolean(), (runs, skipSpecialTokens) => {
        const ids = runs.flat()
        const whole = tokenizer.decode(ids, { skipSpecialTokens })
        expect(streamed(tokenizer, ids, skipSpecialTokens).join('')).toBe(whole)
      }),
      { numRuns: 500 },
    )
  })

  test('valid text never shows a replacement character', () => {
    const text = anyText.filter((text) => !/[\ufffd\ufeff]/.test(text))
    fc.assert(
      fc.property(text, fc.constantFrom(byteLevel, llama), (text, tokenizer) => {
        const pieces = streamed(tokenizer, tokenizer.encode(text), true)
        expect(pieces.join('')).toBe(text)
        expect(pieces.filter((piece) => /[\p{Surrogate}\ufffd]/u.test(piece))).toEqual([])
      }),
    )
  })
})

test.each([-1, 264, 0.5, NaN, 2 ** 40])('refuses the id %d', (id) => {
  const fault = expect.objectContaining({ code: 'text/tokenizer' })
  expect(() => byteLevel.decode([0, id])).toThrow(fault)
  expect(() => byteLevel.stream().push(id)).toThrow(fault)
})

describe('loadTokenizer', () => {
  const json = JSON.stringify(llamaTokenizer())

  test('a folder without tokenizer.json has none', async () => {
    expect(await loadTokenizer(memoryStore('m', { 'config.json': '{}' }))).toBeUndefined()
  })

  test.each([
    ['generation_config.json first', { generation: [2, 0], model: 1, config: '<unk>' }, [2, 0]],
    ['then config.json', { generation: undefined, model: 1, config: '<unk>' }, [1]],
    ['null counts as absent', { generation: null, model: null, config: '<unk>' }, [0]],
    ['a token as an object', { generation: undefined, model: undefined, config: { content: '</s>' } }, [2]],
    ['a token outside the vocabulary', { generation: undefined, model: undefined, config: '<eot>' }, []],
    ['nothing', { generation: undefined, model: undefined, config: undefined }, []],
  ])('end of text: %s', async (_, eos, ids) => {
    const store = memoryStore('m', {
      'tokenizer.json': json,
      'generation_config.json': JSON.stringify({ eos_token_id: eos.generation }),
      'config.json': JSON.stringify({ eos_token_id: eos.model, bos_token_id: 1 }),
      'tokenizer_config.json': JSON.stringify({ eos_token: eos.config }),
    })
    const tokenizer = await loadTokenizer(store)
    expect(tokenizer?.eosTokenIds).toEqual(ids)
    expect(tokenizer?.bosTokenId).toBe(1)
  })

  test.each<[string, Record<string, string | Uint8Array>]>([
    ['broken JSON', { 'tokenizer.json': '{' }],
    ['an array', { 'tokenizer.json': '[]' }],
    ['no UTF-8', { 'tokenizer.json': Uint8Array.of(0xff) }],
    ['no model', { 'tokenizer.json': '{}' }],
    ['an unknown model', { 'tokenizer.json': '{"model":{"type":"Magic"}}' }],
    [
      'an unknown decoder',
      { 'tokenizer.json': JSON.stringify({ ...llamaTokenizer(), decoder: { type: 'x' } }) },
    ],
    ['a bad EOS id', { 'tokenizer.json': json, 'generation_config.json': '{"eos_token_id":[-1]}' }],
  ])('refuses %s', async (what, files) => {
    const code = /JSON|array|UTF-8/.test(what) ? 'file/format' : 'text/tokenizer'
    await expect(loadTokenizer(memoryStore('m', files))).rejects.toMatchObject({ code })
  })

  test('keys that files may leave out', () => {
    const { model } = byteLevelTokenizer()
    expect(createTokenizer(filesWith({ model })).encode('hello')).toEqual([259])
  })
})
