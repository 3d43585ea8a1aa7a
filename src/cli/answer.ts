// An answer on its way to the terminal, and the dim line under it; or as one document.

import { randomInt } from 'node:crypto'
import { CancelledFault } from '../api/cancelledFault.ts'
import type { ChatCompletionRequest, CompletionRequest, Engine, Timings } from '../api/types.ts'
import type { CommandContext } from './deps.ts'
import { coloursFor, formatSpeed, printable, write, writeLine } from './terminal.ts'

export interface Answer {
  readonly text: string
  readonly numTokens: number
  readonly timings: Timings | undefined
  readonly isCancelled: boolean
}

/** Prints an answer as it comes, and a line break. An abort ends it early; what came so far is the answer. */
export async function streamAnswer(
  engine: Engine,
  request: ChatCompletionRequest,
  { stdout }: CommandContext,
): Promise<Answer> {
  let text = ''
  let numTokens = 0
  let timings: Timings | undefined
  let isCancelled = false
  try {
    for await (const chunk of engine.chat.completions.create({ ...request, stream: true })) {
      for (const { delta } of chunk.choices) {
        if (delta.content === undefined || delta.content === '') continue
        text += delta.content
        await write(stdout, printable(stdout, delta.content))
      }
      numTokens = chunk.usage?.completion_tokens ?? numTokens
      timings = chunk.timings ?? timings
    }
  } catch (error) {
    if (request.signal?.aborted !== true) throw error
    isCancelled = true
    if (error instanceof CancelledFault) {
      numTokens = error.usage.completion_tokens
      timings = error.timings
    }
  }
  await writeLine(stdout)
  return { text, numTokens, timings, isCancelled }
}

/** A dim line under the answer, on a terminal only. */
export async function writeSpeed(
  { stderr, env }: CommandContext,
  numTokens: number,
  timings: Timings | undefined,
): Promise<void> {
  if (stderr.isTTY !== true) return
  await writeLine(stderr, coloursFor(stderr, env).dim(formatSpeed(numTokens, timings?.decodeTokensPerSecond)))
}

/** A whole answer as `--json` prints it, with all that it takes to get it again. Times that one token cannot have are null. */
export async function answerDocument(engine: Engine, request: CompletionRequest): Promise<unknown> {
  const seed = request.seed ?? randomInt(2 ** 32)
  const answer = await engine.completions.create({ ...request, seed, stream: false })
  const { usage, timings } = answer
  const [choice] = answer.choices
  return {
    model: engine.model,
    adapter: engine.adapter.description,
    dtype: engine.dtype,
    seed,
    text: choice?.text ?? '',
    tokens: choice?.tokens ?? [],
    promptTokens: usage.prompt_tokens,
    finishReason: choice?.finish_reason ?? 'length',
    timings: {
      ttftMs: timings.ttftMs,
      tpotMs: timings.tpotMs ?? null,
      prefillTokensPerSecond: timings.prefillTokensPerSecond,
      decodeTokensPerSecond: timings.decodeTokensPerSecond ?? null,
    },
  }
}
