// The command line as a function: arguments and dependencies in, exit code out. Commands are one file each.
// Not here: the process itself (src/cli.ts).

import { Command, CommanderError } from 'commander'
import { addBench } from './bench.ts'
import { addCache } from './cache.ts'
import { addChat } from './chat.ts'
import type { CliDeps, CommandContext, Runner } from './deps.ts'
import { RuntimeFault } from '../core/errors.ts'
import { addDoctor } from './doctor/doctor.ts'
import { exitCodes, flagsOf, fromCommander, reportFault } from './faults.ts'
import { addGenerate } from './generate.ts'
import { addHelp } from './help.ts'
import { addInspect } from './inspect/inspect.ts'
import { addLogits } from './logits.ts'
import { writeLine } from './terminal.ts'

/** Runs one command line to its end; never rejects. */
export async function runCli(argv: readonly string[], deps: CliDeps): Promise<number> {
  let exitCode: number = exitCodes.success
  const run: Runner = (body) => async (options) => {
    exitCode = (await body(options, ending.context)) ?? exitCodes.success
  }
  const program = makeProgram(deps, run)
  const ending = watchForEnd(deps, flagsOf(program, argv))
  const { context } = ending
  try {
    // A bare `tabhopper` is a question, not a mistake.
    await program.parseAsync(argv.length === 0 ? ['--help'] : [...argv], { from: 'user' })
    return ending.exitCode() ?? exitCode
  } catch (error) {
    const early = ending.exitCode()
    if (early !== undefined) return early
    if (!(error instanceof CommanderError)) return reportFault(error, context)
    const fault = fromCommander(error, program, argv)
    return fault === undefined ? exitCodes.success : reportFault(fault, context)
  } finally {
    ending.stop()
  }
}

function makeProgram({ version, stdout }: CliDeps, run: Runner): Command {
  const program = new Command('tabhopper')
    .description('Runs large language models on WebGPU, in this process, offline.')
    .version(version, '-V, --version', 'print the version')
    .helpOption('-h, --help', 'print this help')
    .exitOverride()
    .configureOutput({
      writeOut: (text) => void stdout.write(text),
      writeErr: () => undefined,
      outputError: () => undefined,
      getOutHelpWidth: () => Math.min(stdout.columns ?? 100, 100),
    })
    .addHelpText(
      'after',
      `
Examples:
  $ tabhopper chat
  $ tabhopper generate --prompt "Once upon a time" --max-tokens 64
  $ tabhopper doctor

Help on a command: tabhopper <command> --help`,
    )
  for (const add of [addChat, addGenerate, addLogits, addInspect, addCache, addDoctor, addBench])
    add(program, run)
  addHelp(program)
  return program
}

interface Ending {
  readonly context: CommandContext
  /** Set when Ctrl-C or a closed pipe ended the command, whatever the command made of it. */
  exitCode(): number | undefined
  stop(): void
}

/** Turns Ctrl-C and a reader that went away (`| head`) into one signal. A second Ctrl-C does not wait. */
function watchForEnd(deps: CliDeps, flags: readonly string[]): Ending {
  const controller = new AbortController()
  const takers: (() => void)[] = []
  let exitCode: number | undefined
  const end = (code: number): void => {
    exitCode ??= code
    controller.abort()
  }
  const stopListening = deps.onInterrupt(() => {
    const taker = takers.at(-1)
    if (taker !== undefined) taker()
    else if (controller.signal.aborted) deps.exit(exitCodes.interrupted)
    else end(exitCodes.interrupted)
  })
  deps.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE' || error.code === 'ERR_STREAM_DESTROYED') return end(exitCodes.success)
    if (exitCode === undefined) void writeLine(deps.stderr, outputFault(error).message)
    end(exitCodes.failure)
  })
  // Nobody is left to be told.
  deps.stderr.on('error', () => undefined)
  return {
    context: {
      ...deps,
      flags,
      signal: controller.signal,
      takeInterrupts(listener) {
        takers.push(listener)
        return () => void takers.splice(takers.indexOf(listener), 1)
      },
    },
    exitCode: () => exitCode,
    stop: stopListening,
  }
}

function outputFault(cause: NodeJS.ErrnoException): RuntimeFault {
  const isFull = cause.code === 'ENOSPC' || cause.code === 'EDQUOT'
  return new RuntimeFault('file/io', {
    where: 'stdout',
    expected: 'to write',
    got: isFull ? `a full disk (${cause.code})` : (cause.code ?? cause.message),
    fix: isFull ? 'Make room, or write elsewhere.' : 'Check what reads it.',
    cause,
  })
}
