// `tabhopper logits`: what the model makes of a token sequence at every position, for comparing with others.

import { Option, type Command } from 'commander'
import type { CommandContext, OutputStream, Runner } from './deps.ts'
import { addModelOptions, jsonOption, tokenIds, type ModelFlags } from './options.ts'
import { withEngine } from './session.ts'
import { table, write, writeLine } from './terminal.ts'

interface LogitsFlags extends ModelFlags {
  readonly tokens: readonly number[]
  readonly json?: boolean
}

type Row = Float32Array | Float64Array

export function addLogits(program: Command, run: Runner): void {
  const command = program
    .command('logits')
    .description('print the logits of every position of a token sequence')
    .addOption(
      new Option('--tokens <ids>', 'token ids such as 1,2,3')
        .argParser(tokenIds('--tokens'))
        .makeOptionMandatory(),
    )
  addModelOptions(command)
    .addOption(jsonOption())
    .addHelpText(
      'after',
      `
Example:
  $ tabhopper logits --model ./my-llama --tokens 1,15,27 --dtype f32 --json`,
    )
    .action(run(logits))
}

async function logits(flags: LogitsFlags, context: CommandContext): Promise<void> {
  const { tokens } = flags
  const { stdout, signal } = context
  await withEngine(flags, context, async (engine) => {
    const { logits } = await engine.logits(tokens, { signal })
    const { model, adapter, dtype } = engine
    const head = { model, adapter: adapter.description, dtype, tokens }
    if (flags.json === true) await writeDocument(stdout, head, logits, signal)
    else await writeLine(stdout, topTable(tokens, logits).join('\n'))
  })
}

/** A row at a time: the whole document may be larger than the longest string. */
async function writeDocument(
  stdout: OutputStream,
  head: object,
  rows: readonly Row[],
  signal: AbortSignal,
): Promise<void> {
  await write(stdout, `${JSON.stringify(head).slice(0, -1)},"logits":[`)
  for (const [index, row] of rows.entries()) {
    if (signal.aborted) return
    await write(stdout, `${index === 0 ? '' : ','}\n${JSON.stringify(Array.from(row))}`)
  }
  await writeLine(stdout, '\n]}')
}

const numTop = 5

function topTable(tokens: readonly number[], rows: readonly Row[]): string[] {
  const header = ['position', 'token', ...Array.from({ length: numTop }, (_, i) => `#${i + 1} id: logit`)]
  const body = rows.map((row, position) => [
    String(position),
    String(tokens[position]),
    ...topIds(row).map((id) => `${id}: ${row[id]!.toFixed(4)}`),
  ])
  return table([header, ...body], [...header.keys()])
}

/** Ids of the largest logits, largest first; the lower id wins a tie. */
function topIds(row: Row): number[] {
  const best: number[] = []
  for (const [id, value] of row.entries()) {
    if (best.length === numTop && value <= row[best.at(-1)!]!) continue
    const place = best.findIndex((other) => row[other]! < value)
    best.splice(place === -1 ? best.length : place, 0, id)
    if (best.length > numTop) best.pop()
  }
  return best
}
