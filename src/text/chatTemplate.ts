// Conversation → prompt text, by the Jinja template that comes with a model.
// Not here: the template language (@huggingface/jinja) and token ids (tokenizer.ts: encodeChat).
import { Environment, Interpreter, parse, tokenize } from '@huggingface/jinja'
import { RuntimeFault } from '../core/errors.ts'
import { isRecord } from '../core/values.ts'

type Program = ReturnType<typeof parse>

/** One turn. Templates see the fields as they are. */
export interface ChatMessage {
  /** `system`, `user`, `assistant`, `tool`, or what else the template knows; requests may have `developer`, and no other. */
  readonly role: string
  /** Null where a turn has calls of tools only. */
  readonly content: string | null
  /** Of the speaker, for templates that print it. */
  readonly name?: string
  /** In the shape that the template expects. */
  readonly tool_calls?: readonly unknown[]
  /** Which call a turn of role `tool` answers. */
  readonly tool_call_id?: string
}

export interface RenderOptions {
  /** Ends the prompt where the assistant is to speak. Default true. */
  addGenerationPrompt?: boolean
  /** Tool descriptions in the shape that the template expects, usually OpenAI's. */
  tools?: readonly unknown[]
  /** What `strftime_now` tells a template that prints the date. Default: the current time. */
  now?: Date
}

export interface ChatTemplate {
  /** The Jinja text. */
  readonly source: string
  /** The prompt, with special tokens such as BOS as text. Throws `text/template` with the template's message. */
  render(messages: readonly ChatMessage[], options?: RenderOptions): string
}

/** Special tokens that templates print; an absent one prints nothing. */
export interface TemplateTokens {
  readonly bosToken: string | undefined
  readonly eosToken: string | undefined
}

/** A template from its text. It is parsed at the first `render`, so that a folder with a broken one still loads. */
export function createChatTemplate(where: string, source: string, tokens: TemplateTokens): ChatTemplate {
  let program: Program | undefined
  return {
    source,
    render(messages, options = {}) {
      program ??= parseTemplate(where, source)
      try {
        const environment = new Environment()
        for (const [name, value] of Object.entries(globals(options.now ?? new Date()))) {
          environment.set(name, value)
        }
        environment.set('messages', messages)
        environment.set('add_generation_prompt', options.addGenerationPrompt ?? true)
        environment.set('bos_token', tokens.bosToken)
        environment.set('eos_token', tokens.eosToken)
        // Templates ask whether these are none, as transformers passes them always.
        environment.set('tools', options.tools ?? null)
        environment.set('documents', null)
        // A program's value is always its text.
        return new Interpreter(environment).run(program).value as string
      } catch (cause) {
        throw templateFault(where, 'messages that the template accepts', cause, 'Change the conversation.')
      }
    },
  }
}

/**
 * The template text in `tokenizer_config.json`'s `chat_template`: a string, or the `default` of a list of named ones.
 * `undefined` when there is none.
 */
export function templateSource(chatTemplate: unknown): string | undefined {
  if (typeof chatTemplate === 'string') return chatTemplate
  if (!Array.isArray(chatTemplate)) return undefined
  const named: unknown = chatTemplate.find((entry) => isRecord(entry) && entry['name'] === 'default')
  return isRecord(named) && typeof named['template'] === 'string' ? named['template'] : undefined
}

function parseTemplate(where: string, source: string): Program {
  try {
    // transformers' settings.
    return parse(tokenize(source, { lstrip_blocks: true, trim_blocks: true }))
  } catch (cause) {
    throw templateFault(where, 'a Jinja template', cause, 'Correct the template, or use plain completions.')
  }
}

/**
 * What every template can name. The library's own set cannot be changed one by one, and its strftime_now names
 * months in the host's language.
 */
function globals(now: Date): Record<string, unknown> {
  return {
    true: true,
    True: true,
    false: false,
    False: false,
    none: null,
    None: null,
    range,
    raise_exception(message: unknown) {
      throw new Error(String(message))
    },
    strftime_now: (format: unknown) => strftime(now, String(format)),
  }
}

/** Python's range; a template that asks for more than a million numbers is refused. */
function range(start: number, stop?: number, step = 1): number[] {
  const [first, end] = stop === undefined ? [0, start] : [start, stop]
  const length = Math.max(0, Math.ceil((end - first) / step))
  if (!(length <= 1_000_000)) throw new RangeError(`range(${first}, ${end}, ${step})`)
  return Array.from({ length }, (_, i) => first + i * step)
}

/** Python's strftime for the codes that templates use, local time, English names; other codes stay as they are. */
function strftime(date: Date, format: string): string {
  const two = (value: number): string => String(value).padStart(2, '0')
  const inEnglish = (options: Intl.DateTimeFormatOptions): string => date.toLocaleDateString('en-US', options)
  const fields: Record<string, () => string> = {
    Y: () => String(date.getFullYear()),
    y: () => two(date.getFullYear() % 100),
    m: () => two(date.getMonth() + 1),
    B: () => inEnglish({ month: 'long' }),
    b: () => inEnglish({ month: 'short' }),
    d: () => two(date.getDate()),
    A: () => inEnglish({ weekday: 'long' }),
    a: () => inEnglish({ weekday: 'short' }),
    H: () => two(date.getHours()),
    I: () => two(date.getHours() % 12 || 12),
    M: () => two(date.getMinutes()),
    S: () => two(date.getSeconds()),
    p: () => (date.getHours() < 12 ? 'AM' : 'PM'),
    '%': () => '%',
  }
  return format.replace(/%([YymBbdAaHIMSp%])/g, (_, code: string) => fields[code]!())
}

function templateFault(where: string, expected: string, cause: unknown, fix: string): RuntimeFault {
  const got = cause instanceof Error ? cause.message : String(cause)
  return new RuntimeFault('text/template', { where, expected, got, fix, cause })
}
