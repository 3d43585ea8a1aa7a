// Writes one answer: asks the engine, shows text as it comes, and says how it ended. Every outcome becomes a state of
// the answer; it never rejects.

import { requestFor } from './context.ts'
import type { Answer, Conversation } from './conversation.ts'
import type { AnswerEnd, ChatEngine } from './engine.ts'
import { isCancelled, isFatal, shownFault, type ShownFault } from '../shared/fault.ts'
import { createPacer } from '../shared/frames.ts'
import { randomSeed, type Sampling } from './settings.ts'

export interface AnswerTask {
  /** Ends with the question. */
  readonly conversation: Conversation
  readonly sampling: Sampling
  readonly signal: AbortSignal
  readonly engine: () => Promise<ChatEngine>
  readonly onChange: (changes: Partial<Omit<Answer, 'id' | 'role'>>) => void
  readonly onFatal: (fault: ShownFault) => void
}

export async function answerQuestion(task: AnswerTask): Promise<void> {
  const { signal, onChange } = task
  try {
    const engine = await task.engine()
    // The engine has the last word on what fits; each round leaves out more.
    for (let atLeast = 0; ;) {
      try {
        return await write(task, engine, atLeast)
      } catch (error) {
        const { numLeftOut } = requestFor(
          task.conversation,
          engine.maxSeqLen,
          task.sampling.maxTokens,
          atLeast + 1,
        )
        if (shownFault(error).code !== 'engine/context' || numLeftOut <= atLeast) throw error
        atLeast = numLeftOut
      }
    }
  } catch (error) {
    if (signal.aborted || isCancelled(error)) return onChange({ state: 'stopped' })
    const fault = shownFault(error)
    onChange({ state: 'failed', fault })
    if (isFatal(fault)) task.onFatal(fault)
  }
}

async function write(task: AnswerTask, engine: ChatEngine, atLeast: number): Promise<void> {
  const { conversation, sampling, signal, onChange } = task
  const seed = sampling.seed ?? randomSeed()
  const { messages, numLeftOut } = requestFor(conversation, engine.maxSeqLen, sampling.maxTokens, atLeast)
  const meter = new AnswerMeter(performance.now())
  let content = ''
  let end: AnswerEnd | undefined
  const pacer = createPacer(() => onChange({ content, state: 'streaming' }))
  onChange({ numLeftOut })
  try {
    for await (const piece of engine.answer({ messages, signal, sampling: { ...sampling, seed } })) {
      end = piece.end ?? end
      if (piece.text === '') continue
      content += piece.text
      meter.count(performance.now())
      pacer.request()
    }
  } finally {
    pacer.flush()
    const { tokens, tokensPerSecond, firstTokenMs } = end ?? meter.figures()
    const stats = { model: engine.label, seed, tokens, tokensPerSecond, firstTokenMs }
    onChange({ content, stats: { ...stats, promptTokens: end?.promptTokens } })
  }
  onChange({ state: end?.reason === 'length' ? 'length' : 'done' })
}

/** Figures of an answer that was stopped: the engine tells its own at the end only. */
class AnswerMeter {
  readonly #askedAt: number
  #firstAt: number | undefined
  #lastAt = 0
  #tokens = 0

  constructor(nowMs: number) {
    this.#askedAt = nowMs
  }

  count(nowMs: number): void {
    this.#firstAt ??= nowMs
    this.#lastAt = nowMs
    this.#tokens++
  }

  figures(): Pick<AnswerEnd, 'tokens' | 'tokensPerSecond'> & { firstTokenMs: number | undefined } {
    const first = this.#firstAt
    const tookMs = first === undefined ? 0 : this.#lastAt - first
    return {
      tokens: this.#tokens,
      tokensPerSecond: tookMs > 0 ? ((this.#tokens - 1) * 1000) / tookMs : undefined,
      firstTokenMs: first === undefined ? undefined : first - this.#askedAt,
    }
  }
}
