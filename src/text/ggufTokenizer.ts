// The tokenizer inside a GGUF file → the files that createTokenizer (tokenizer.ts) reads: byte-level BPE ("gpt2") and
// SentencePiece BPE ("llama"). The metadata comes as a plain map with llama.cpp's keys.
// Not here: reading the file (weights/gguf) and tokenizing.
import { RuntimeFault } from '../core/errors.ts'
import { shown } from '../core/values.ts'
import type { TokenizerFiles } from './tokenizer.ts'

export type GgufTokenizerMetadata = ReadonlyMap<string, unknown>

/** llama.cpp's token types. Others are normal, or unused, which makes no difference to us. */
const tokenTypes = { normal: 1, unknown: 2, control: 3, userDefined: 4, byte: 6 }

interface Vocabulary {
  /** For errors. */
  readonly where: string
  readonly metadata: GgufTokenizerMetadata
  /** By id. */
  readonly tokens: readonly string[]
  readonly types: readonly number[]
  readonly ids: ReadonlyMap<string, number>
}

/** What the kinds of tokenizer differ in. */
interface Definition {
  /** normalizer, pre_tokenizer, model and decoder of tokenizer.json. */
  readonly parts: Record<string, unknown>
  /** Whether texts begin with BOS where the file does not say. */
  readonly addBos: boolean
  /** Ids that a file need not name. */
  readonly defaultIds: Readonly<Record<string, number>>
}

/**
 * The tokenizer of a GGUF file, as the files of a model folder; `undefined` when it has none.
 * Throws `text/tokenizer` for kinds and pre-tokenizers that we do not know, and for metadata that contradicts itself.
 */
export function ggufTokenizerFiles(
  name: string,
  metadata: GgufTokenizerMetadata,
): TokenizerFiles | undefined {
  const kind = metadata.get('tokenizer.ggml.model')
  if (kind === undefined || kind === 'none' || kind === 'no_vocab') return undefined
  if (kind !== 'gpt2' && kind !== 'llama') {
    throw tokenizerFault(`${name}: tokenizer.ggml.model`, 'gpt2 or llama', shown(kind))
  }
  const vocabulary = readVocabulary(name, metadata)
  const { parts, addBos, defaultIds } =
    kind === 'gpt2' ? byteLevelBpe(vocabulary) : sentencePieceBpe(vocabulary)
  const idOf = (token: string): number | undefined => specialId(vocabulary, token, defaultIds[token])
  const bosId = idOf('bos')
  const eosId = idOf('eos')
  const prefix = readFlag(vocabulary, 'add_bos_token', addBos) ? bosId : undefined
  const suffix = readFlag(vocabulary, 'add_eos_token', false) ? eosId : undefined
  const chatTemplate = metadata.get('tokenizer.chat_template')
  return {
    name,
    tokenizer: {
      version: '1.0',
      ...parts,
      added_tokens: addedTokens(vocabulary),
      post_processor: surroundedBy(vocabulary, prefix, suffix),
    },
    tokenizerConfig: {
      ...(bosId === undefined ? {} : { bos_token: vocabulary.tokens[bosId] }),
      ...(eosId === undefined ? {} : { eos_token: vocabulary.tokens[eosId] }),
    },
    generationConfig: {
      ...(bosId === undefined ? {} : { bos_token_id: bosId }),
      eos_token_id: endIds(vocabulary, [eosId, idOf('eot'), idOf('eom')]),
    },
    modelConfig: {},
    chatTemplate: typeof chatTemplate === 'string' ? chatTemplate : undefined,
  }
}

function readVocabulary(name: string, metadata: GgufTokenizerMetadata): Vocabulary {
  const where = `${name}: tokenizer.ggml`
  const tokens = readArray(where, metadata, 'tokens', (item) => typeof item === 'string')
  const types = metadata.has('tokenizer.ggml.token_type')
    ? readArray(where, metadata, 'token_type', (item) => typeof item === 'number', tokens.length)
    : tokens.map(() => tokenTypes.normal)
  const ids = new Map(tokens.map((token, id) => [token, id]))
  if (ids.size !== tokens.length) {
    const repeated = tokens.find((token, id) => ids.get(token) !== id)
    throw tokenizerFault(`${where}.tokens`, 'every token once', `${shown(repeated)} twice`)
  }
  return { where, metadata, tokens, types, ids }
}

const gpt2Regex = String.raw`'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`
/** With at most this many digits in a piece. */
const gpt4Regex = (digits: string): string =>
  String.raw`(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}${digits}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`

interface PreTokenizer {
  /** Applied one after the other to what the former left in pieces. */
  readonly regexes: readonly string[]
  readonly normalizer?: Record<string, unknown>
  /** A piece that is a token stays whole, whatever the merges say. */
  readonly ignoreMerges?: boolean
  readonly addBos?: boolean
}

const llama3: PreTokenizer = { regexes: [gpt4Regex('{1,3}')], ignoreMerges: true, addBos: true }
// The model was trained on composed text; llama.cpp leaves this out.
const qwen2: PreTokenizer = { regexes: [gpt4Regex('')], normalizer: { type: 'NFC' } }
const gpt2: PreTokenizer = { regexes: [gpt2Regex] }

/** By `tokenizer.ggml.pre`. */
const preTokenizers: ReadonlyMap<unknown, PreTokenizer> = new Map([
  // What llama.cpp falls back to for files from before there was a name.
  ['default', { regexes: [String.raw`[\p{P}$+<=>^~|]+`, gpt2Regex, String.raw`\p{N}+`, '[0-9][0-9][0-9]'] }],
  ['gpt-2', gpt2],
  ['llama-bpe', llama3],
  ['llama3', llama3],
  ['llama-v3', llama3],
  ['qwen2', qwen2],
  ['deepseek-r1-qwen', qwen2],
  ['smollm', { regexes: [String.raw`\p{N}`, gpt2Regex] }],
])

function byteLevelBpe({ where, metadata, ids }: Vocabulary): Definition {
  const pre = metadata.get('tokenizer.ggml.pre') ?? 'default'
  const known = preTokenizers.get(pre)
  if (known === undefined) {
    throw tokenizerFault(`${where}.pre`, `one of ${[...preTokenizers.keys()].join(', ')}`, shown(pre))
  }
  const merges = readArray(where, metadata, 'merges', (item) => typeof item === 'string').map((merge) => {
    // Tokens have no space: it is spelled Ġ. From the second character on, as a token is not empty.
    const space = merge.indexOf(' ', 1)
    if (space !== -1) return [merge.slice(0, space), merge.slice(space + 1)]
    throw tokenizerFault(`${where}.merges`, 'two tokens with a space between', shown(merge))
  })
  return {
    addBos: known.addBos ?? false,
    defaultIds: {},
    parts: {
      normalizer: known.normalizer ?? null,
      pre_tokenizer: {
        type: 'Sequence',
        pretokenizers: [
          ...known.regexes.map((regex) => ({
            type: 'Split',
            pattern: { Regex: regex },
            behavior: 'Isolated',
            invert: false,
          })),
          { type: 'ByteLevel', add_prefix_space: false, trim_offsets: false, use_regex: false },
        ],
      },
      model: {
        type: 'BPE',
        vocab: Object.fromEntries(ids),
        merges,
        unk_token: null,
        byte_fallback: false,
        ignore_merges: known.ignoreMerges ?? false,
      },
      decoder: { type: 'ByteLevel' },
    },
  }
}

const spaceMark = '\u2581'

function sentencePieceBpe(vocabulary: Vocabulary): Definition {
  const { types, ids } = vocabulary
  const unknownId = types.indexOf(tokenTypes.unknown)
  const toSpaces = { type: 'Replace', pattern: { String: spaceMark }, content: ' ' }
  const toMarks = { type: 'Replace', pattern: { String: ' ' }, content: spaceMark }
  const addSpacePrefix = readFlag(vocabulary, 'add_space_prefix', true)
  return {
    addBos: true,
    defaultIds: { bos: 1, eos: 2 },
    parts: {
      // Also after a special token inside the text, as llama.cpp has it.
      normalizer: addSpacePrefix
        ? { type: 'Sequence', normalizers: [{ type: 'Prepend', prepend: spaceMark }, toMarks] }
        : toMarks,
      pre_tokenizer: null,
      model: {
        type: 'BPE',
        vocab: Object.fromEntries(ids),
        merges: mergesByScore(vocabulary),
        unk_token: vocabulary.tokens[unknownId] ?? null,
        byte_fallback: types.includes(tokenTypes.byte),
      },
      decoder: {
        type: 'Sequence',
        decoders: [
          toSpaces,
          { type: 'ByteFallback' },
          { type: 'Fuse' },
          ...(addSpacePrefix ? [{ type: 'Strip', content: ' ', start: 1, stop: 0 }] : []),
        ],
      },
    },
  }
}

/** SentencePiece's longest tokens have 16 characters unless asked; the work grows with the square. */
const maxPieceLength = 512

/**
 * SentencePiece joins the neighbours whose union has the best score, so the merges are all ways to split a token into
 * two, in the order of the tokens' scores. (Of equal scores it joins the leftmost, we the lower id.)
 */
function mergesByScore({ where, metadata, tokens, types, ids }: Vocabulary): [string, string][] {
  const scores = readArray(where, metadata, 'scores', (item) => typeof item === 'number', tokens.length)
  const isPiece = (id: number | undefined): boolean =>
    id !== undefined && [tokenTypes.normal, 5].includes(types[id]!)
  const pieces = [...tokens.keys()].filter(isPiece).sort((a, b) => scores[b]! - scores[a]!)
  const merges: [string, string][] = []
  for (const id of pieces) {
    const piece = tokens[id]!
    if (piece.length > maxPieceLength) {
      throw tokenizerFault(
        `${where}.tokens`,
        `tokens of at most ${maxPieceLength} characters`,
        String(piece.length),
      )
    }
    for (let at = 1; at < piece.length; at++) {
      const [left, right] = [piece.slice(0, at), piece.slice(at)]
      if (isPiece(ids.get(left)) && isPiece(ids.get(right))) merges.push([left, right])
    }
  }
  return merges
}

/** Tokens that a text's spelling becomes before anything else. */
function addedTokens({ tokens, types }: Vocabulary): unknown[] {
  const added: unknown[] = []
  for (const [id, type] of types.entries()) {
    const special = type === tokenTypes.control || type === tokenTypes.unknown
    if (!special && type !== tokenTypes.userDefined) continue
    // An empty one would be found everywhere.
    if (tokens[id] === '') continue
    added.push({ id, content: tokens[id], special, normalized: false })
  }
  return added
}

function surroundedBy(
  { tokens }: Vocabulary,
  prefix: number | undefined,
  suffix: number | undefined,
): unknown {
  if (prefix === undefined && suffix === undefined) return null
  const special = (id: number | undefined): unknown[] =>
    id === undefined ? [] : [{ SpecialToken: { id: tokens[id], type_id: 0 } }]
  const single = [...special(prefix), { Sequence: { id: 'A', type_id: 0 } }, ...special(suffix)]
  return { type: 'TemplateProcessing', single, pair: single }
}

/** Control tokens that end a turn or a text, whatever the file says about them; as llama.cpp has it. */
const endTokens = ['<|eot_id|>', '<|eom_id|>', '<|im_end|>', '<|end|>', '<end_of_turn>', '<|endoftext|>']

/** The ids that end a text; EOS first. */
function endIds({ types, ids }: Vocabulary, declared: readonly (number | undefined)[]): number[] {
  const spelled = endTokens.map((token) => ids.get(token))
  const known = spelled.filter((id) => id !== undefined && types[id] === tokenTypes.control)
  return [...new Set([...declared, ...known])].filter((id) => id !== undefined)
}

function specialId(
  { where, metadata, tokens }: Vocabulary,
  token: string,
  fallback: number | undefined,
): number | undefined {
  const key = `${token}_token_id`
  const declared = metadata.get(`tokenizer.ggml.${key}`)
  const id = declared ?? (fallback !== undefined && fallback < tokens.length ? fallback : undefined)
  if (id === undefined) return undefined
  if (typeof id === 'number' && Number.isInteger(id) && id >= 0 && id < tokens.length) return id
  throw tokenizerFault(`${where}.${key}`, `an id below ${tokens.length}`, shownItem(id))
}

function readFlag({ where, metadata }: Vocabulary, key: string, fallback: boolean): boolean {
  const value = metadata.get(`tokenizer.ggml.${key}`) ?? fallback
  if (typeof value === 'boolean') return value
  throw tokenizerFault(`${where}.${key}`, 'true or false', shownItem(value))
}

function readArray<T>(
  where: string,
  metadata: GgufTokenizerMetadata,
  key: string,
  isItem: (item: unknown) => item is T,
  length?: number,
): readonly T[] {
  const value = metadata.get(`tokenizer.ggml.${key}`)
  if (!Array.isArray(value) || !value.every(isItem)) {
    throw tokenizerFault(`${where}.${key}`, 'an array of one type', shownItem(value))
  }
  if (length !== undefined && value.length !== length) {
    throw tokenizerFault(`${where}.${key}`, `${length} items, as many as tokens`, `${value.length}`)
  }
  return value
}

/** 64-bit integers have no JSON. */
function shownItem(value: unknown): string {
  return typeof value === 'bigint' ? String(value) : shown(value)
}

function tokenizerFault(where: string, expected: string, got: string): RuntimeFault {
  return new RuntimeFault('text/tokenizer', {
    where,
    expected,
    got,
    fix: 'Use a file with a supported tokenizer, or the model folder that it was made from.',
  })
}
