// `tabhopper generate`: one completion of a prompt, streamed as text or whole as JSON.

import { Option, type Command } from 'commander'
import type { Timings } from '../api/types.ts'
import { encodeChat } from '../text/tokenizer.ts'
import { answerDocument, writeSpeed } from './answer.ts'
import type { CommandContext, Runner } from './deps.ts'
import { usageFault } from './faults.ts'
import { readAll } from './input.ts'
import {
  addModelOptions,
  addSamplingOptions,
  jsonOption,
  samplingOptions,
  type ModelFlags,
  type SamplingFlags,
  type SourceFlags,
} from './options.ts'
import { loadTokenizerOf, withEngine } from './session.ts'
import { printable, write, writeJson, writeLine } from './terminal.ts'

interface GenerateFlags extends ModelFlags, SamplingFlags {
  readonly prompt: string
  readonly chat?: boolean
  readonly json?: boolean
}

export function addGenerate(program: Command, run: Runner): void {
  const command = program
    .command('generate')
    .description('complete a prompt')
    .addOption(new Option('--prompt <text>', 'text to go on from; - reads stdin').makeOptionMandatory())
    .option('--chat', "put the prompt through the model's chat template")
  addSamplingOptions(addModelOptions(command), 0.7)
    .addOption(jsonOption())
    .addHelpText(
      'after',
      `
Examples:
  $ tabhopper generate --prompt "Once upon a time" --max-tokens 64
  $ echo "Tell me a story about a dog." | tabhopper generate --prompt - --chat --temperature 0 --json`,
    )
    .action(run(generate))
}

async function generate(flags: GenerateFlags, context: CommandContext): Promise<void> {
  const { signal, stdin, stdout } = context
  const text = flags.prompt === '-' ? await readAll(stdin, signal) : flags.prompt
  const prompt = flags.chat === true ? await chatPrompt(text, flags, context) : text
  if (prompt === '') await checkEmpty(flags, context)
  await withEngine(flags, context, async (engine) => {
    const request = { prompt, ...samplingOptions(flags), signal }
    if (flags.json === true) return writeJson(stdout, await answerDocument(engine, request))
    let timings: Timings | undefined
    let numTokens = 0
    for await (const chunk of engine.completions.create({ ...request, stream: true })) {
      for (const { text } of chunk.choices) await write(stdout, printable(stdout, text))
      timings = chunk.timings ?? timings
      numTokens = chunk.usage?.completion_tokens ?? numTokens
    }
    await writeLine(stdout)
    await writeSpeed(context, numTokens, timings)
  })
}

async function chatPrompt(text: string, flags: SourceFlags, context: CommandContext): Promise<number[]> {
  return encodeChat(await loadTokenizerOf(flags, context), [{ role: 'user', content: text }])
}

/** Throws cli/usage, before the weights are loaded, unless the tokenizer begins every text with a token of its own. */
async function checkEmpty(flags: SourceFlags, context: CommandContext): Promise<void> {
  const tokenizer = await loadTokenizerOf(flags, context)
  if (tokenizer.encode('').length === 0)
    throw usageFault('--prompt', 'some text', 'nothing', 'Give a prompt.')
}
