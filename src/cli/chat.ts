// `tabhopper chat`: a conversation on a terminal; without one, a single answer. The loop itself is in chatLoop.ts.

import type { Command } from 'commander'
import type { Engine } from '../api/types.ts'
import { encodeChat } from '../text/tokenizer.ts'
import { answerDocument, streamAnswer } from './answer.ts'
import { chatLoop } from './chatLoop.ts'
import { Conversation } from './conversation.ts'
import type { CommandContext, Runner } from './deps.ts'
import { usageFault } from './faults.ts'
import { readPiped } from './input.ts'
import {
  addModelOptions,
  addSamplingOptions,
  jsonOption,
  samplingOptions,
  type ModelFlags,
  type SamplingFlags,
} from './options.ts'
import { loadTokenizerOf, withEngine } from './session.ts'
import { coloursFor, writeJson, writeLine } from './terminal.ts'

interface ChatFlags extends ModelFlags, SamplingFlags {
  readonly system?: string
  readonly json?: boolean
}

/** What is asked when there is nobody to ask. */
const demoQuestion = 'Tell me a story about a dog.'
/** How long a pipe may stay silent before it counts as empty. */
const patienceMs = 3000

export function addChat(program: Command, run: Runner): void {
  const command = program
    .command('chat')
    .description('talk to a model; without a terminal, answer stdin or tell one story')
    .option('--system <text>', 'a system message ahead of the conversation')
  addSamplingOptions(addModelOptions(command), 0.5)
    .addOption(jsonOption())
    .addHelpText(
      'after',
      `
Examples:
  $ tabhopper chat
  $ echo "Tell me a story about a cat." | tabhopper chat --temperature 0 --json`,
    )
    .action(run(chat))
}

async function chat(flags: ChatFlags, context: CommandContext): Promise<void> {
  const { stdin, stdout, signal } = context
  if (flags.json === true && stdin.isTTY === true) {
    const fix = 'Pipe one in, or use `tabhopper generate --chat --json --prompt <text>`.'
    throw usageFault('--json', 'a question on stdin', 'a terminal', fix)
  }
  const isInteractive = stdin.isTTY === true && stdout.isTTY === true
  const tokenizer = await loadTokenizerOf(flags, context)
  // A model without a chat template is refused before its weights are loaded.
  encodeChat(tokenizer, [{ role: 'user', content: demoQuestion }])
  const piped = isInteractive || stdin.isTTY === true ? '' : await readPiped(stdin, patienceMs, signal)
  await withEngine(flags, context, async (engine) => {
    const conversation = new Conversation({
      system: flags.system,
      maxSeqLen: engine.maxSeqLen,
      reserve: Math.min(flags.maxTokens ?? 256, Math.ceil(engine.maxSeqLen / 4)),
      countTokens: (messages) => encodeChat(tokenizer, messages).length,
    })
    if (isInteractive) return chatLoop(engine, conversation, samplingOptions(flags), context)
    conversation.ask(piped.trim() === '' ? demoQuestion : piped)
    const { messages } = conversation
    const options = { ...samplingOptions(flags), signal }
    if (flags.json === true) {
      const prompt = encodeChat(tokenizer, messages)
      return writeJson(stdout, await answerDocument(engine, { prompt, ...options }))
    }
    await warnOfSoftware(engine, context)
    await streamAnswer(engine, { messages, ...options }, context)
  })
}

async function warnOfSoftware({ adapter }: Engine, { stderr, env }: CommandContext): Promise<void> {
  if (stderr.isTTY !== true || !adapter.isSoftware) return
  await writeLine(stderr, coloursFor(stderr, env).dim(`${adapter.description}: software, slow`))
}
