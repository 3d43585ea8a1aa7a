// Two hand-made tokenizers, so that the tests need no download: byte-level BPE as in GPT-2, and byte fallback as in Llama 2.
import type { TokenizerFiles } from '../../../src/text/tokenizer.ts'

/** The 256 stand-in characters of byte-level BPE: printable bytes for themselves, the others from U+0100 on. */
export const byteSymbols: readonly string[] = (() => {
  let next = 256
  return Array.from({ length: 256 }, (_, byte) => {
    const isPrintable = (byte > 32 && byte < 127) || (byte > 160 && byte !== 173)
    return String.fromCodePoint(isPrintable ? byte : next++)
  })
})()

const special = (id: number, content: string): object => ({
  id,
  content,
  special: true,
  single_word: false,
  lstrip: false,
  rstrip: false,
  normalized: false,
})

/** Ids 0–255 are the bytes, then the merges, then <|end|> (the largest id). */
export function byteLevelTokenizer(): Record<string, unknown> {
  // 'ð Ł' joins the first two bytes of most emoji: a token that ends inside a character.
  const merges = ['h e', 'l l', 'he ll', 'hell o', 'Ġ w', 'ð Ł', 'Ġ ðŁ']
  const tokens = [...byteSymbols, ...merges.map((merge) => merge.replace(' ', ''))]
  return {
    added_tokens: [special(tokens.length, '<|end|>')],
    normalizer: null,
    pre_tokenizer: { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true },
    post_processor: { type: 'ByteLevel', add_prefix_space: true, trim_offsets: false, use_regex: true },
    decoder: { type: 'ByteLevel', add_prefix_space: true, trim_offsets: true, use_regex: true },
    model: { type: 'BPE', vocab: Object.fromEntries(tokens.map((token, id) => [token, id])), merges },
  }
}

/** Ids: <unk> <s> </s>, the bytes from 3, then pieces that mark a leading space with ▁. */
export function llamaTokenizer(): Record<string, unknown> {
  const bytes = Array.from({ length: 256 }, (_, b) => `<0x${b.toString(16).toUpperCase().padStart(2, '0')}>`)
  const letters = ['▁', ...Array.from('abcdehlorw')]
  const merges = ['▁ h', 'e l', '▁h el', 'l o', '▁hel lo', '▁ w', '▁ ▁']
  const tokens = [
    '<unk>',
    '<s>',
    '</s>',
    ...bytes,
    ...letters,
    ...merges.map((merge) => merge.replace(' ', '')),
  ]
  return {
    added_tokens: [special(0, '<unk>'), special(1, '<s>'), special(2, '</s>')],
    normalizer: {
      type: 'Sequence',
      normalizers: [
        { type: 'Prepend', prepend: '▁' },
        { type: 'Replace', pattern: { String: ' ' }, content: '▁' },
      ],
    },
    pre_tokenizer: null,
    post_processor: {
      type: 'TemplateProcessing',
      single: [{ SpecialToken: { id: '<s>', type_id: 0 } }, { Sequence: { id: 'A', type_id: 0 } }],
      pair: [],
      special_tokens: { '<s>': { id: '<s>', ids: [1], tokens: ['<s>'] } },
    },
    decoder: {
      type: 'Sequence',
      decoders: [
        { type: 'Replace', pattern: { String: '▁' }, content: ' ' },
        { type: 'ByteFallback' },
        { type: 'Fuse' },
        { type: 'Strip', content: ' ', start: 1, stop: 0 },
      ],
    },
    model: {
      type: 'BPE',
      unk_token: '<unk>',
      fuse_unk: true,
      byte_fallback: true,
      vocab: Object.fromEntries(tokens.map((token, id) => [token, id])),
      merges,
    },
  }
}

/** A folder's files with nothing but the tokenizer, plus what a test adds. */
export function filesWith(
  tokenizer: Record<string, unknown>,
  more: Partial<TokenizerFiles> = {},
): TokenizerFiles {
  return {
    name: 'm',
    tokenizer,
    tokenizerConfig: {},
    generationConfig: {},
    modelConfig: {},
    chatTemplate: undefined,
    ...more,
  }
}
