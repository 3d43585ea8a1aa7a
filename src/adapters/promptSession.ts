// A session of the Prompt API: a conversation that grows by what is asked and answered, one exchange at a time. An
// exchange that fails or is aborted leaves no trace. Not here: the check of messages (promptInput.ts).

import type { ChatMessage, Engine } from '../api/types.ts'
import { onAbort } from '../core/onAbort.ts'
import { notSupported, quotaExceeded, toDomException, unlessAborted } from './promptErrors.ts'
import { toChatMessages, type PromptInput } from './promptInput.ts'

/** What a prompt may say. */
export interface PromptOptions {
  /** Ends the answer with an AbortError; the session stays as it was. */
  signal?: AbortSignal
  /** Not supported. */
  responseConstraint?: object
  /** Only with `responseConstraint`. */
  omitResponseConstraintInput?: boolean
}

export interface SessionSettings {
  readonly engine: Engine
  readonly temperature: number
  /** At most the size of the vocabulary: all tokens. */
  readonly topK: number
  readonly samplingMode: string
}

/** What a session knows. */
interface Context {
  /** Initial prompts, which stay; then what followed. */
  readonly messages: readonly ChatMessage[]
  readonly numInitial: number
  /** Tokens. */
  readonly usage: number
}

/**
 * A stand-in for an instance of the browser's `LanguageModel`. Its methods reject with the abort reason after
 * `destroy()` or a signal, QuotaExceededError if the input exceeds the context by itself, TypeError, SyntaxError and
 * NotSupportedError for input that is malformed or not text, UnknownError with a `cause` for what the engine throws.
 */
export class LanguageModelSession extends EventTarget {
  /** Called when old messages had to leave the context; so are listeners of `contextoverflow`. */
  oncontextoverflow: ((event: Event) => void) | null = null
  /** The older name of `oncontextoverflow`. */
  onquotaoverflow: ((event: Event) => void) | null = null

  readonly #settings: SessionSettings
  readonly #destruction = new AbortController()
  #context: Context
  #lastTurn: Promise<unknown> = Promise.resolve()

  private constructor(settings: SessionSettings, context: Context) {
    super()
    this.#settings = settings
    this.#context = context
  }

  /** @internal A session that has counted its initial prompts. The signal goes on to destroy it. */
  static async start(
    settings: SessionSettings,
    messages: readonly ChatMessage[],
    signal: AbortSignal | undefined,
  ): Promise<LanguageModelSession> {
    const { engine } = settings
    const usage = await unlessAborted(countTokens(engine, messages, signal), signal)
    if (usage > engine.maxSeqLen) throw quotaExceeded(engine.maxSeqLen, usage)
    const session = new LanguageModelSession(settings, { messages, numInitial: messages.length, usage })
    const unlisten = onAbort(signal, () => session.#destruction.abort(signal?.reason))
    onAbort(session.#destruction.signal, unlisten)
    return session
  }

  /** Tokens of all that has been said. */
  get contextUsage(): number {
    return this.#context.usage
  }

  /** Tokens that the context holds. */
  get contextWindow(): number {
    return this.#settings.engine.maxSeqLen
  }

  /** The older name of `contextUsage`. */
  get inputUsage(): number {
    return this.contextUsage
  }

  /** The older name of `contextWindow`. */
  get inputQuota(): number {
    return this.contextWindow
  }

  /** As asked for; 0 is greedy. */
  get temperature(): number {
    return this.#settings.temperature
  }

  /** As asked for, at most the vocabulary. */
  get topK(): number {
    return this.#settings.topK
  }

  /** As asked for, else `balanced`. */
  get samplingMode(): string {
    return this.#settings.samplingMode
  }

  /** The whole answer. */
  async prompt(input: PromptInput, options: PromptOptions = {}): Promise<string> {
    let text = ''
    await this.#exchange(input, options, (piece) => {
      text += piece
    })
    return text
  }

  /** The answer in pieces. Cancelling the stream is as good as aborting. */
  promptStreaming(input: PromptInput, options: PromptOptions = {}): ReadableStream<string> {
    const left = new AbortController()
    const signal = anyOf(left.signal, options.signal)
    return new ReadableStream<string>({
      start: (controller) => {
        // Not on demand: a stream that nobody reads must not hold up the session's next turn.
        void this.#exchange(input, { ...options, signal }, (piece) => controller.enqueue(piece)).then(
          () => controller.close(),
          (error: unknown) => controller.error(error),
        )
      },
      cancel: (reason) => left.abort(reason),
    })
  }

  /** Adds messages without an answer. */
  append(input: PromptInput, { signal }: { signal?: AbortSignal } = {}): Promise<void> {
    return this.#takeTurn(signal, (signal) =>
      this.#grow(input, signal, async (_, usage) => ({ answer: [], usage })),
    )
  }

  /** Tokens that the input would take by itself; more than the context holds is no error. */
  async measureContextUsage(input: PromptInput, options: PromptOptions = {}): Promise<number> {
    checkOptions(options)
    const signal = anyOf(this.#destruction.signal, options.signal)
    signal.throwIfAborted()
    return unlessAborted(countTokens(this.#settings.engine, toChatMessages(input, false), signal), signal)
  }

  /** The older name of `measureContextUsage`. */
  measureInputUsage(input: PromptInput, options?: PromptOptions): Promise<number> {
    return this.measureContextUsage(input, options)
  }

  /** A session of its own with what this one has been told until now. */
  async clone({ signal }: { signal?: AbortSignal } = {}): Promise<LanguageModelSession> {
    anyOf(this.#destruction.signal, signal).throwIfAborted()
    return new LanguageModelSession(this.#settings, this.#context)
  }

  /** Ends what runs, and every later call, with an AbortError. The engine stays. */
  destroy(): void {
    this.#destruction.abort(new DOMException('The session was destroyed.', 'AbortError'))
  }

  async #exchange(
    input: PromptInput,
    options: PromptOptions,
    onText: (piece: string) => void,
  ): Promise<void> {
    checkOptions(options)
    const { engine, temperature, topK } = this.#settings
    const top_k = topK < engine.vocabSize ? topK : 0
    return this.#takeTurn(options.signal, (signal) =>
      this.#grow(input, signal, async (messages) => {
        const request = { messages, temperature, top_k, signal, stream: true as const }
        let content = ''
        let usage = 0
        for await (const chunk of engine.chat.completions.create(request)) {
          const piece = chunk.choices[0]?.delta.content ?? ''
          usage = chunk.usage?.total_tokens ?? usage
          content += piece
          if (piece !== '') onText(piece)
        }
        return { answer: [{ role: 'assistant', content }], usage }
      }),
    )
  }

  /** After all turns before it. A turn that is aborted while it waits is never taken. */
  #takeTurn<T>(signal: AbortSignal | undefined, take: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const either = anyOf(this.#destruction.signal, signal)
    const turn = this.#lastTurn.then(() => {
      either.throwIfAborted()
      return take(either)
    })
    this.#lastTurn = turn.catch(() => undefined)
    return unlessAborted(turn, either)
  }

  /** Adds the input and its answer. Exchanges leave the context, oldest first, until the input fits. */
  async #grow(
    input: PromptInput,
    signal: AbortSignal,
    answer: (
      messages: readonly ChatMessage[],
      numTokens: number,
    ) => Promise<{ answer: readonly ChatMessage[]; usage: number }>,
  ): Promise<void> {
    const { messages, numInitial } = this.#context
    const asked = toChatMessages(input, messages.length > 0)
    let kept = messages
    let numTokens = await countTokens(this.#settings.engine, [...kept, ...asked], signal)
    while (numTokens > this.contextWindow) {
      const fewer = withoutOldest(kept, numInitial)
      if (fewer === undefined) throw quotaExceeded(this.contextWindow, numTokens)
      kept = fewer
      numTokens = await countTokens(this.#settings.engine, [...kept, ...asked], signal)
    }
    const said = [...kept, ...asked]
    try {
      const answered = await answer(said, numTokens)
      signal.throwIfAborted()
      this.#context = { messages: [...said, ...answered.answer], numInitial, usage: answered.usage }
    } catch (error) {
      throw signal.aborted ? error : toDomException(error, 'UnknownError')
    }
    if (kept !== messages) this.#tellOverflow()
  }

  #tellOverflow(): void {
    for (const name of ['contextoverflow', 'quotaoverflow'] as const) {
      const event = new Event(name)
      this[`on${name}`]?.(event)
      this.dispatchEvent(event)
    }
  }
}

/** Without the oldest messages up to the end of an answer; undefined if only initial prompts are left. */
function withoutOldest(messages: readonly ChatMessage[], numInitial: number): ChatMessage[] | undefined {
  if (messages.length === numInitial) return undefined
  const later = messages.slice(numInitial)
  const end = later.findIndex(({ role }) => role === 'assistant')
  return [...messages.slice(0, numInitial), ...(end < 0 ? [] : later.slice(end + 1))]
}

/** Tokens of the messages as a prompt, 0 for none, with the errors of the Prompt API. */
async function countTokens(
  engine: Engine,
  messages: readonly ChatMessage[],
  signal: AbortSignal | undefined,
): Promise<number> {
  if (messages.length === 0) return 0
  // Templates may insist on a last word from the user, and the next prompt will have one.
  const isOpen = messages.at(-1)?.role === 'user'
  const prompt: readonly ChatMessage[] = isOpen ? messages : [...messages, { role: 'user', content: '' }]
  try {
    return await engine.countTokens(prompt, signal && { signal })
  } catch (error) {
    throw signal?.aborted === true ? error : toDomException(error, 'UnknownError')
  }
}

function checkOptions({ responseConstraint, omitResponseConstraintInput }: PromptOptions): void {
  if (responseConstraint !== undefined) throw notSupported('responseConstraint')
  if (omitResponseConstraintInput === true) {
    throw new TypeError('omitResponseConstraintInput comes with responseConstraint.')
  }
}

function anyOf(signal: AbortSignal, other: AbortSignal | undefined): AbortSignal {
  return other === undefined ? signal : AbortSignal.any([signal, other])
}
