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
    await write(task, await task.engine())
  } catch (error) {
    if (signal.aborted || isCancelled(error)) return onChange({ state: 'stopped' })
    const fault = shownFault(error)
    onChange({ state: 'failed', fault })
    if (isFatal(fault)) task.onFatal(fault)
  }
}

async function write(task: AnswerTask, engine: ChatEngine): Promise<void> {
  const { conversation, sampling, signal, onChange } = task
  const seed = sampling.seed ?? randomSeed()
  const { messages, numLeftOut } = await requestFor(
    conversation,
    engine.maxSeqLen,
    sampling.maxTokens,
    (turns) => engine.countTokens(turns, signal),
  )
  let content = ''
  let end: AnswerEnd | undefined
  const pacer = createPacer(() => onChange({ content, state: 'streaming' }))
  onChange({ numLeftOut })
  try {
    for await (const piece of engine.answer({ messages, signal, sampling: { ...sampling, seed } })) {
      end = piece.end ?? end
      if (piece.text === '') continue
      content += piece.text
      pacer.request()
    }
  } finally {
    pacer.flush()
    onChange({ content })
  }
  if (end === undefined) return onChange({ state: 'done' })
  const { reason, ...figures } = end
  onChange({
    state: reason === 'stop' ? 'done' : reason,
    stats: { model: engine.label, seed, ...figures },
  })
}
