// `tabhopper doctor`: which adapters this machine has, which one is used and why, and how to get a better one.

import { Option, type Command } from 'commander'
import type { CommandContext, Runner } from '../deps.ts'
import { exitCodes } from '../faults.ts'
import { jsonOption } from '../options.ts'
import { coloursFor, write, writeJson, writeLine } from '../terminal.ts'
import { diagnose } from './diagnosis.ts'
import { printProbe } from './probe.ts'
import { doctorDocument, doctorReport } from './report.ts'

interface DoctorFlags {
  readonly json?: boolean
  /** Hidden: the child's side of a probe. */
  readonly probe?: boolean
}

export function addDoctor(program: Command, run: Runner): void {
  program
    .command('doctor')
    .description('show the WebGPU adapters of this machine and how to get a better one')
    .addOption(jsonOption())
    .addOption(new Option('--probe').hideHelp())
    .addHelpText(
      'after',
      `
Exits with 1 if there is no adapter.

Example:
  $ tabhopper doctor --json`,
    )
    .action(run(doctor))
}

async function doctor({ json, probe }: DoctorFlags, context: CommandContext): Promise<number> {
  if (probe === true) {
    await printProbe(context)
    return exitCodes.success
  }
  const { stdout, stderr, env } = context
  const isWaiting = json !== true && stderr.isTTY === true
  if (isWaiting) await write(stderr, coloursFor(stderr, env).dim('asking the drivers …'))
  const diagnosis = await diagnose(context).finally(() => {
    if (isWaiting) void stderr.write('\r\u001b[K')
  })
  if (json === true) await writeJson(stdout, doctorDocument(diagnosis, context))
  else await writeLine(stdout, doctorReport(diagnosis, context))
  return diagnosis.used.status === 'accepted' ? exitCodes.success : exitCodes.failure
}
