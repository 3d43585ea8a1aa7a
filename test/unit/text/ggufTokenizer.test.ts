// Tokenizers out of GGUF files against Python's tokenizers and sentencepiece (test/golden/make/gguf_goldens.py), and
// SmolLM2's against llama.cpp: skipped unless scripts/fetchSmollm2.mjs has fetched it.
import { readFileSync } from 'node:fs'
import { basename, dirname } from 'node:path'
import { describe, expect, test } from 'vitest'
import { memorySource, type ByteSource } from '../../../src/core/files.ts'
import { ggufTokenizerFiles, type GgufTokenizerMetadata } from '../../../src/text/ggufTokenizer.ts'
import { createTokenizer, encodeChat, type Tokenizer } from '../../../src/text/tokenizer.ts'
import { directoryStore } from '../../../src/node/directoryStore.ts'
import { readLlamaConfig } from '../../../src/models/llama/config.ts'
import { ggufConfig } from '../../../src/weights/gguf/config.ts'
import { openGguf } from '../../../src/weights/gguf/gguf.ts'
import { smollm2 } from '../../helpers/smollm2.ts'
import { fixturesDir } from '../../helpers/dirs.ts'

const goldenDir = `${fixturesDir}/golden/gguf`

interface Golden {
  readonly bpe: { readonly texts: string[]; readonly ids: Record<string, number[][]> }
  readonly spm: { readonly texts: string[]; readonly ids: number[][] }
}

const golden = JSON.parse(readFileSync(`${goldenDir}/tokens.json`, 'utf8')) as Golden

async function metadataOf(name: string): Promise<GgufTokenizerMetadata> {
  return (await openGguf(memorySource(name, readFileSync(`${goldenDir}/${name}`)))).metadata
}

const bpe = await metadataOf('bpe.gguf')
const spm = await metadataOf('spm.gguf')

/** By llama.cpp (node-llama-cpp 3.22.1), whose fallback it is. */
const defaultIds: [string, number[]][] = [
  [
    '\u00bd \u0663\u0664\u0665 12345 1,234,567.89',
    [126, 121, 220, 149, 96, 149, 97, 149, 98, 220, 16, 321, 19, 20, 220, 16, 11, 328, 11, 331, 22, 13, 332],
  ],
  [
    'for (i = 0; i < 10; i++) {\n    x += 1;\n}\n',
    [
      334, 220, 7, 72, 220, 28, 220, 15, 26, 262, 220, 27, 220, 581, 26, 262, 330, 220, 90, 350, 220, 87, 220,
      10, 28, 220, 16, 26, 198, 92, 198,
    ],
  ],
  [
    '$100 + 5% = ~$105 <=> ^_^ |x|',
    [
      3, 581, 15, 220, 10, 220, 20, 4, 220, 28, 220, 93, 3, 581, 20, 220, 27, 588, 220, 593, 61, 220, 91, 87,
      91,
    ],
  ],
]

/** By llama.cpp (node-llama-cpp 3.22.1) from the same file. */
const smolIds: [string, number[]][] = [
  ['Hello, world!', [19556, 28, 905, 17]],
  [' leading and trailing  ', [2899, 284, 35079, 256]],
  ["don't can't WE'LL they'RE I'm", [12420, 982, 416, 982, 26587, 23, 16421, 502, 23, 3256, 339, 5248]],
  ['na\u00efve caf\u00e9 e\u0301', [3546, 46494, 37366, 297, 151, 219]],
  [
    '\u65e5\u672c\u8a9e\u306e\u30c6\u30ad\u30b9\u30c8 \ud55c\uad6d\uc5b4 \u041f\u0440\u0438\u0432\u0435\u0442',
    [
      23274, 115, 40993, 179, 120, 248, 26453, 11100, 224, 10391, 251, 10391, 134, 11100, 226, 216, 33085,
      246, 181, 130, 251, 183, 240, 129, 5470, 249, 46879, 16464, 32547,
    ],
  ],
  [
    '\ud83d\udc69\u200d\ud83d\udc69\u200d\ud83d\udc67 \ud83c\udff3\ufe0f\u200d\ud83c\udf08',
    [
      10813, 235, 119, 321, 231, 10813, 235, 119, 321, 231, 10813, 235, 117, 15107, 233, 128, 31752, 321, 231,
      10813, 230, 226,
    ],
  ],
  ['a\r\n\n\tb   c\n  d \n', [81, 201, 1116, 197, 82, 256, 265, 3805, 287, 3717]],
  ['x\u00a0y\u3000z\u0085w', [104, 15442, 105, 12109, 218, 106, 141, 223, 103]],
  [
    '\u00bd \u0663\u0664\u0665 12345 1,234,567.89',
    [
      16738, 216, 164, 113, 164, 114, 164, 115, 216, 33, 34, 35, 36, 37, 216, 33, 28, 34, 35, 36, 28, 37, 38,
      39, 30, 40, 41,
    ],
  ],
  ['<|im_start|>user\nhi<|im_end|>\n', [1, 4093, 198, 6004, 2, 198]],
  [
    'for (i = 0; i < 10; i++) {\n    x += 1;\n}\n',
    [
      1710, 365, 89, 446, 216, 32, 43, 2056, 2067, 216, 33, 32, 43, 2056, 11444, 25, 1662, 472, 1792, 4519,
      216, 33, 43, 198, 109, 198,
    ],
  ],
  ['a\ufeffb \ufeff', [81, 186, 136, 140, 82, 216, 186, 136, 140]],
  ['', []],
  [' ', [216]],
  ['    ', [289]],
  ['the  the   the\n the', [1195, 216, 260, 256, 260, 198, 260]],
  [
    '\u00fcn\u00efc\u00f6d\u00e9 \u01c5 \u02b0 \u2177 \u00b2',
    [47682, 25972, 83, 7466, 84, 2756, 216, 146, 223, 216, 149, 125, 216, 173, 223, 132, 216, 19133],
  ],
  [
    '$100 + 5% = ~$105 <=> ^_^ |x|',
    [20, 33, 32, 32, 1232, 216, 37, 21, 446, 11417, 20, 33, 32, 37, 10204, 46, 13481, 79, 78, 2504, 104, 108],
  ],
  ['The capital of France is', [504, 3575, 282, 4649, 314]],
  ['\u0000\udbff\udfff \ue000', [190, 189, 233, 140, 140, 216, 185, 218, 218]],
]

/** With other values of `tokenizer.…` keys; undefined removes one. */
function changed(metadata: GgufTokenizerMetadata, fields: Record<string, unknown>): GgufTokenizerMetadata {
  const result = new Map(metadata)
  for (const [key, value] of Object.entries(fields)) {
    if (value === undefined) result.delete(`tokenizer.${key}`)
    else result.set(`tokenizer.${key}`, value)
  }
  return result
}

function tokenizerOf(metadata: GgufTokenizerMetadata): Tokenizer {
  return createTokenizer(ggufTokenizerFiles('test', metadata)!)
}

describe('byte-level BPE', () => {
  test.each(Object.entries(golden.bpe.ids))("%s: ids are Python's", (pre, ids) => {
    const tokenizer = tokenizerOf(changed(bpe, { 'ggml.pre': pre }))
    const encoded = golden.bpe.texts.map((text) => [
      text,
      tokenizer.encode(text, { addSpecialTokens: false }),
    ])
    expect(encoded).toEqual(golden.bpe.texts.map((text, i) => [text, ids[i]]))
  })

  test('the pre-tokenizers differ on these texts, so the test above means something', () => {
    expect(new Set(Object.values(golden.bpe.ids).map((ids) => JSON.stringify(ids))).size).toBe(4)
  })

  test("default: ids are llama.cpp's", () => {
    const tokenizer = tokenizerOf(changed(bpe, { 'ggml.pre': undefined }))
    expect(defaultIds.map(([text]) => [text, tokenizer.encode(text)])).toEqual(defaultIds)
  })

  test('ids become the text again', () => {
    const tokenizer = tokenizerOf(bpe)
    for (const text of golden.bpe.texts) {
      const ids = tokenizer.encode(text)
      expect(tokenizer.decode(ids, { skipSpecialTokens: false })).toBe(text)
      const stream = tokenizer.stream({ skipSpecialTokens: false })
      expect(ids.map((id) => stream.push(id)).join('') + stream.flush()).toBe(text)
    }
  })

  test('special tokens and the chat template', () => {
    const tokenizer = tokenizerOf(bpe)
    const end = tokenizer.encode('<|end|>')[0]!
    expect([tokenizer.bosTokenId, tokenizer.eosTokenIds]).toEqual([end, [end]])
    expect(tokenizer.encode('a')).toHaveLength(1)
    expect(tokenizer.chatTemplate!.render([{ role: 'user', content: 'Hi' }])).toBe('<|end|>user: Hi\n')
    // Llama 3's files begin texts with BOS without saying so; either may be said.
    expect(tokenizerOf(changed(bpe, { 'ggml.pre': 'llama-bpe' })).encode('a')[0]).toBe(end)
    const surrounded = changed(bpe, { 'ggml.add_bos_token': true, 'ggml.add_eos_token': true })
    expect(tokenizerOf(surrounded).encode('a')).toEqual([end, tokenizer.encode('a')[0], end])
  })
})

describe('SentencePiece', () => {
  // The library's decoder drops a byte-order mark that it puts together from bytes.
  const decodable = golden.spm.texts.filter((text) => !text.includes('\ufeff'))

  test("ids are sentencepiece's", () => {
    const tokenizer = tokenizerOf(spm)
    const encoded = golden.spm.texts.map((text) => [text, tokenizer.encode(text)])
    expect(encoded).toEqual(golden.spm.texts.map((text, i) => [text, golden.spm.ids[i]]))
  })

  test('ids become the text again', () => {
    const tokenizer = tokenizerOf(spm)
    for (const text of decodable) expect(tokenizer.decode(tokenizer.encode(text))).toBe(text)
  })

  test('without the space in front', () => {
    const tokenizer = tokenizerOf(
      changed(spm, { 'ggml.add_space_prefix': false, 'ggml.add_bos_token': false }),
    )
    expect(tokenizer.encode(' the')).toEqual(
      golden.spm.ids[golden.spm.texts.indexOf('the  the   the\n the')]!.slice(1, 2),
    )
    for (const text of decodable) expect(tokenizer.decode(tokenizer.encode(text))).toBe(text)
  })

  test('BOS and EOS are 1 and 2 unless the file says otherwise, and BOS is added', () => {
    const silent = {
      'ggml.bos_token_id': undefined,
      'ggml.eos_token_id': undefined,
      'ggml.add_bos_token': undefined,
    }
    const tokenizer = tokenizerOf(changed(spm, silent))
    expect([tokenizer.bosTokenId, tokenizer.eosTokenIds]).toEqual([1, [2]])
    expect(tokenizer.encode('')).toEqual([1])
    expect(tokenizer.encode('</s>', { addSpecialTokens: false })).toEqual([2])
  })
})

test('end-of-turn tokens end texts too', () => {
  const tokens = ['a', '<|eot_id|>', '<|im_end|>', '<e>']
  const metadata = changed(bpe, {
    'ggml.tokens': tokens,
    'ggml.token_type': [1, 3, 1, 3],
    'ggml.merges': [],
    'ggml.bos_token_id': undefined,
    'ggml.eos_token_id': 0,
    'ggml.eot_token_id': 3,
  })
  expect(tokenizerOf(metadata).eosTokenIds).toEqual([0, 3, 1])
})

test('files without a tokenizer', () => {
  expect(ggufTokenizerFiles('x', new Map())).toBeUndefined()
  expect(ggufTokenizerFiles('x', new Map([['tokenizer.ggml.model', 'no_vocab']]))).toBeUndefined()
})

test.each<[string, Record<string, unknown>]>([
  ['x: tokenizer.ggml.model: expected gpt2 or llama, got "t5"', { 'ggml.model': 't5' }],
  ['pre: expected one of default, gpt-2, llama-bpe', { 'ggml.pre': 'bloom' }],
  ['got "bloom"', { 'ggml.pre': 'bloom' }],
  ['ggml.tokens: expected an array', { 'ggml.tokens': [1] }],
  [
    'ggml.tokens: expected every token once, got "a" twice',
    { 'ggml.tokens': ['a', 'b', 'a'], 'ggml.token_type': undefined },
  ],
  ['ggml.token_type: expected 3 items', { 'ggml.tokens': ['a', 'b', 'c'] }],
  ['ggml.merges: expected an array', { 'ggml.merges': undefined }],
  ['ggml.merges: expected two tokens', { 'ggml.merges': ['ab'] }],
  ['ggml.bos_token_id: expected an id below', { 'ggml.bos_token_id': 2 ** 32 - 1 }],
  ['ggml.eos_token_id: expected an id below', { 'ggml.eos_token_id': 2n ** 63n }],
  ['ggml.add_bos_token: expected true or false', { 'ggml.add_bos_token': 1 }],
  ['ggml.scores: expected an array', { 'ggml.model': 'llama' }],
])('refused: %s', (message, fields) => {
  let fault: unknown
  try {
    ggufTokenizerFiles('x', changed(bpe, fields))
  } catch (error) {
    fault = error
  }
  expect(fault).toMatchObject({ code: 'text/tokenizer' })
  expect(String(fault)).toContain(message)
})

describe('SmolLM2-135M-Instruct', () => {
  const { path, reason } = smollm2

  /** Only its header and what is asked for are read. */
  async function withFile<T>(use: (source: ByteSource) => Promise<T>): Promise<T> {
    const store = directoryStore(dirname(path!))
    try {
      return await use((await store.open(basename(path!)))!)
    } finally {
      await store.close?.()
    }
  }

  test.skipIf(path === undefined)(`ids are llama.cpp's${reason}`, async () => {
    const { metadata } = await withFile((source) => openGguf(source))
    const tokenizer = tokenizerOf(metadata)
    expect(smolIds.map(([text]) => [text, tokenizer.encode(text)])).toEqual(smolIds)
    for (const [text, ids] of smolIds) expect(tokenizer.decode(ids, { skipSpecialTokens: false })).toBe(text)
    expect(tokenizer.eosTokenIds[0]).toBe(2)
    const prompt = encodeChat(tokenizer, [{ role: 'user', content: 'Hi' }])
    expect(tokenizer.decode(prompt, { skipSpecialTokens: false })).toBe(
      '<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n' +
        '<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n',
    )
  })

  test.skipIf(path === undefined)(`configuration and weights${reason}`, async () => {
    await withFile(async (source) => {
      const gguf = await openGguf(source)
      const config = readLlamaConfig(ggufConfig(gguf))
      expect(config).toMatchObject({ numLayers: 30, numHeads: 9, numKvHeads: 3, headDim: 64, normEps: 1e-5 })
      expect(gguf.checkpoint.tensors.size).toBe(272)
      const bytes = await gguf.checkpoint.read('model.layers.29.self_attn.k_proj.weight', 576, 576)
      const values = new Float32Array(bytes.buffer, bytes.byteOffset, 576)
      expect(values.every((value) => Math.abs(value) < 4)).toBe(true)
      expect(values.some((value) => value !== 0)).toBe(true)
    })
  })
})
