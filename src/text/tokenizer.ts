// Text ↔ token ids for a model folder, over @huggingface/tokenizers, which does the work.
// Added here: checks, which ids end a text, streaming (streamDecoder.ts), chat prompts (chatTemplate.ts).
import { Tokenizer as LibraryTokenizer } from '@huggingface/tokenizers'
import { RuntimeFault } from '../core/errors.ts'
import {
  createChatTemplate,
  templateSource,
  type ChatMessage,
  type ChatTemplate,
  type RenderOptions,
} from './chatTemplate.ts'
import { readJsonObject, readText, type FileStore } from '../core/files.ts'
import { isRecord } from '../core/values.ts'
import { createStreamDecoder, type StreamDecoder } from './streamDecoder.ts'

export interface EncodeOptions {
  /** Adds what the tokenizer puts around a text, such as BOS. Default true; false for chat prompts. */
  addSpecialTokens?: boolean
}

export interface DecodeOptions {
  /** Leaves special tokens such as EOS out of the text. Default true. */
  skipSpecialTokens?: boolean
}

export interface Tokenizer {
  /** One more than the largest id. A model's vocabulary may be padded beyond it, and ids below it may have no token. */
  readonly vocabSize: number
  /** Ids that end a text: of generation_config.json, else config.json, else the tokenizer's EOS. May be empty. */
  readonly eosTokenIds: readonly number[]
  readonly bosTokenId: number | undefined
  /** The folder's own chat template. */
  readonly chatTemplate: ChatTemplate | undefined
  /** Whether an id has a token. */
  has(id: number): boolean
  /** Token ids of a text. Special tokens that are spelled out in it become their ids. */
  encode(text: string, options?: EncodeOptions): number[]
  /** Text of ids, spaces as the tokens have them (no clean-up). Throws `text/tokenizer` for an unknown id. */
  decode(ids: readonly number[], options?: DecodeOptions): string
  /** An incremental decoder: its pieces, joined, are what `decode` returns for all ids. */
  stream(options?: DecodeOptions): StreamDecoder
}

/** The files of a model folder that define its tokenizer, parsed. */
export interface TokenizerFiles {
  /** Where the files come from, for errors. */
  readonly name: string
  readonly tokenizer: Record<string, unknown>
  readonly tokenizerConfig: Record<string, unknown>
  readonly generationConfig: Record<string, unknown>
  readonly modelConfig: Record<string, unknown>
  /** chat_template.jinja; it precedes the one in tokenizerConfig. */
  readonly chatTemplate: string | undefined
}

/** The largest public tokenizer.json files have about 35 MB. */
const maxFileBytes = 128 * 2 ** 20

/** Reads a folder's tokenizer; `undefined` when it has no tokenizer.json. Throws `file/format` for damaged files. */
export async function loadTokenizer(store: FileStore): Promise<Tokenizer | undefined> {
  const tokenizer = await readJsonObject(store, 'tokenizer.json', maxFileBytes)
  if (tokenizer === undefined) return undefined
  return createTokenizer({
    name: store.name,
    tokenizer,
    tokenizerConfig: (await readJsonObject(store, 'tokenizer_config.json', maxFileBytes)) ?? {},
    generationConfig: (await readJsonObject(store, 'generation_config.json', maxFileBytes)) ?? {},
    modelConfig: (await readJsonObject(store, 'config.json', maxFileBytes)) ?? {},
    chatTemplate: await readText(store, 'chat_template.jinja', maxFileBytes),
  })
}

/** A tokenizer from its files. Throws `text/tokenizer` when the library cannot use them. */
export function createTokenizer(files: TokenizerFiles): Tokenizer {
  const library = createLibraryTokenizer(files)
  const vocabSize = library.model?.vocab.length ?? 0
  const specialIds = new Set(
    [...library.get_added_tokens_decoder()].filter(([, token]) => token.special).map(([id]) => id),
  )

  const has = (id: number): boolean => library.id_to_token(id) !== undefined

  function checkId(id: number): void {
    if (has(id)) return
    throw tokenizerFault(files.name, `token ids that the vocabulary of ${vocabSize} has`, `the id ${id}`)
  }

  function decode(ids: readonly number[], skipSpecialTokens: boolean): string {
    // The library refuses an empty list.
    if (ids.length === 0) return ''
    return library.decode([...ids], {
      skip_special_tokens: skipSpecialTokens,
      // Its default is true, which would turn " ." into "." and break code.
      clean_up_tokenization_spaces: false,
    })
  }

  const bosTokenId = specialTokenIds(files, library, 'bos')[0]
  const eosTokenIds = specialTokenIds(files, library, 'eos')
  return {
    vocabSize,
    eosTokenIds,
    bosTokenId,
    chatTemplate: chatTemplateOf(files, {
      bosToken: tokenText(files.tokenizerConfig['bos_token']) ?? textOfId(library, bosTokenId),
      eosToken: tokenText(files.tokenizerConfig['eos_token']) ?? textOfId(library, eosTokenIds[0]),
    }),
    has,
    encode(text, options = {}) {
      const { ids, tokens } = library.encode(text, { add_special_tokens: options.addSpecialTokens ?? true })
      // The library's types hide that a token without an id, and no unknown token to stand in, gives undefined.
      const missing = ids.indexOf(undefined as never)
      if (missing === -1) return ids
      throw tokenizerFault(
        files.name,
        'a vocabulary with every token it produces',
        `none for ${tokens[missing]}`,
      )
    },
    decode(ids, options = {}) {
      for (const id of ids) checkId(id)
      return decode(ids, options.skipSpecialTokens ?? true)
    },
    stream(options = {}) {
      const skipSpecialTokens = options.skipSpecialTokens ?? true
      const decoder = createStreamDecoder((ids) => decode(ids, skipSpecialTokens))
      return {
        push(id) {
          checkId(id)
          return skipSpecialTokens && specialIds.has(id) ? '' : decoder.push(id)
        },
        flush: () => decoder.flush(),
      }
    },
  }
}

/**
 * Prompt ids of a conversation. The template prints BOS itself, so the tokenizer must not add a second one.
 * Throws `text/template` when the folder has no template or it refuses the messages.
 */
export function encodeChat(
  tokenizer: Tokenizer,
  messages: readonly ChatMessage[],
  options: RenderOptions = {},
): number[] {
  if (tokenizer.chatTemplate === undefined) {
    throw new RuntimeFault('text/template', {
      where: 'chat',
      expected: 'a model with a chat template',
      got: 'one without',
      fix: 'Use completions with a prompt of your own, or an instruction-tuned model.',
    })
  }
  return tokenizer.encode(tokenizer.chatTemplate.render(messages, options), { addSpecialTokens: false })
}

function createLibraryTokenizer(files: TokenizerFiles): LibraryTokenizer {
  // The library insists on these keys; files may leave them out.
  const optional = {
    normalizer: null,
    pre_tokenizer: null,
    post_processor: null,
    decoder: null,
    added_tokens: [],
  }
  try {
    return new LibraryTokenizer({ ...optional, ...files.tokenizer }, files.tokenizerConfig)
  } catch (cause) {
    const got = cause instanceof Error ? cause.message : String(cause)
    throw tokenizerFault(`${files.name}/tokenizer.json`, 'a tokenizer definition', got, cause)
  }
}

/** Ids of the BOS or EOS tokens: what generation uses, else what the model declares, else the tokenizer's token. */
function specialTokenIds(files: TokenizerFiles, library: LibraryTokenizer, kind: 'bos' | 'eos'): number[] {
  for (const config of [files.generationConfig, files.modelConfig]) {
    const value = config[`${kind}_token_id`] ?? undefined
    if (value === undefined) continue
    const ids: unknown[] = Array.isArray(value) ? value : [value]
    if (ids.every((id): id is number => Number.isSafeInteger(id) && (id as number) >= 0)) return ids
    throw tokenizerFault(files.name, `${kind}_token_id to be a token id or several`, JSON.stringify(value))
  }
  const text = tokenText(files.tokenizerConfig[`${kind}_token`])
  const id = text === undefined ? undefined : library.token_to_id(text)
  return id === undefined ? [] : [id]
}

/** Configurations spell a token as its text or as an object with `content`. */
function tokenText(token: unknown): string | undefined {
  const text = isRecord(token) ? token['content'] : token
  return typeof text === 'string' ? text : undefined
}

function textOfId(library: LibraryTokenizer, id: number | undefined): string | undefined {
  return id === undefined ? undefined : library.id_to_token(id)
}

function chatTemplateOf(
  files: TokenizerFiles,
  tokens: { bosToken: string | undefined; eosToken: string | undefined },
): ChatTemplate | undefined {
  const source = files.chatTemplate ?? templateSource(files.tokenizerConfig['chat_template'])
  return source === undefined ? undefined : createChatTemplate(`${files.name} chat template`, source, tokens)
}

function tokenizerFault(where: string, expected: string, got: string, cause?: unknown): RuntimeFault {
  return new RuntimeFault('text/tokenizer', {
    where,
    expected,
    got,
    fix: 'Use the tokenizer files that belong to the model.',
    cause,
  })
}
