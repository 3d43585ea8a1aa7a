// The conversation on a terminal: header, questions, streamed answers, commands that start with a slash.

import type { Engine, SamplingOptions } from '../api/types.ts'
import { RuntimeFault } from '../core/errors.ts'
import { streamAnswer, writeSpeed } from './answer.ts'
import type { Conversation } from './conversation.ts'
import type { CommandContext } from './deps.ts'
import { reportFault } from './faults.ts'
import { LineReader } from './lineReader.ts'
import { coloursFor, wrap, writeLine, type Colours } from './terminal.ts'

const help: readonly (readonly [string, string])[] = [
  ['/reset', 'forget the conversation'],
  ['/help', 'show this'],
  ['/exit', 'leave; so do Ctrl-D, and Ctrl-C twice'],
]

/** After these nothing can be answered any more. */
const isFatal = (error: unknown): boolean =>
  !(error instanceof RuntimeFault) || ['device/lost', 'engine/disposed', 'internal'].includes(error.code)

export async function chatLoop(
  engine: Engine,
  conversation: Conversation,
  sampling: SamplingOptions,
  context: CommandContext,
): Promise<void> {
  const { stdin, stdout, env } = context
  const colours = coloursFor(stdout, env)
  await writeLine(stdout, header(engine, colours, stdout.columns ?? Infinity))
  let answering: AbortController | undefined
  /** Whether Ctrl-C came at an empty prompt since the last line. */
  let isLeaving = false
  const onInterrupt = (hadText: boolean): void => {
    if (answering !== undefined) return answering.abort()
    if (hadText) isLeaving = false
    else if (isLeaving) lines.close()
    else {
      isLeaving = true
      lines.interject(colours.dim('(Ctrl-C again leaves.)'))
    }
  }
  const lines = new LineReader(stdin, stdout, colours.bold('> '), onInterrupt)
  const giveBack = context.takeInterrupts(() => onInterrupt(false))
  const onEnd = (): void => {
    answering?.abort()
    lines.close()
  }
  context.signal.addEventListener('abort', onEnd, { once: true })

  const answer = async (question: string): Promise<void> => {
    answering = new AbortController()
    try {
      const numDropped = conversation.ask(question)
      if (numDropped > 0) await writeLine(stdout, colours.dim(droppedNotice(numDropped)))
      const request = { messages: conversation.messages, ...sampling, signal: answering.signal }
      const { text, numTokens, timings, isCancelled } = await streamAnswer(engine, request, context)
      if (text === '') conversation.unask()
      else conversation.answer(text)
      if (isCancelled) await writeLine(stdout, colours.dim('(stopped)'))
      if (numTokens > 0) await writeSpeed(context, numTokens, timings)
    } catch (error) {
      if (isFatal(error)) throw error
      conversation.unask()
      await reportFault(error, context)
    } finally {
      answering = undefined
    }
    await writeLine(stdout)
  }

  try {
    for (let line = await lines.next(); line !== undefined; line = await lines.next()) {
      isLeaving = false
      const text = line.trim()
      if (text === '/exit' || text === '/quit') return
      if (text === '/reset') {
        conversation.reset()
        await writeLine(stdout, colours.dim('Forgotten.\n'))
      } else if (text.startsWith('/')) {
        await writeLine(stdout, commandHelp(text, colours))
      } else if (text !== '') await answer(text)
    }
    // Ctrl-D and Ctrl-C leave the cursor behind the prompt.
    await writeLine(stdout)
  } finally {
    lines.close()
    giveBack()
    context.signal.removeEventListener('abort', onEnd)
  }
}

function header(
  { model, dtype, maxSeqLen, adapter }: Engine,
  { bold, dim, yellow }: Colours,
  columns: number,
): string {
  const software = adapter.isSoftware ? yellow(' (software: slow; see `tabhopper doctor`)') : ''
  const lines = [
    `${bold(model)} ${dim(`${dtype}, ${maxSeqLen} tokens of context`)}`,
    `${adapter.description}${software}`,
    dim('Type a message, or /help. Ctrl-C stops an answer; Ctrl-D, or Ctrl-C twice, leaves.'),
  ]
  return [...lines.flatMap((line) => wrap(line, columns)), ''].join('\n')
}

function droppedNotice(numDropped: number): string {
  const turns = numDropped === 1 ? 'The oldest turn was' : `The ${numDropped} oldest turns were`
  return `(${turns} forgotten: the context is full.)`
}

function commandHelp(text: string, { dim }: Colours): string {
  const unknown = text === '/help' ? '' : `There is no ${text}.\n`
  return dim(unknown + help.map(([name, what]) => `${name.padEnd(8)}${what}`).join('\n') + '\n')
}
