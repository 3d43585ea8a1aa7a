// Errors as the command line shows them: `[code] where: expected X, got Y. Do Z.` and an exit code.

import type { Command, CommanderError } from 'commander'
import { RuntimeFault } from '../core/errors.ts'
import type { CommandContext } from './deps.ts'
import { coloursFor, writeLine } from './terminal.ts'

export const exitCodes = { success: 0, failure: 1, usage: 2, interrupted: 130 } as const

export function usageFault(where: string, expected: string, got: string, fix: string): RuntimeFault {
  return new RuntimeFault('cli/usage', { where, expected, got, fix })
}

/** The same fault, with another thing that can be done. */
export function withAdvice(fault: RuntimeFault, advice: string): RuntimeFault {
  fault.message = `${fault.message} ${advice}`
  return fault
}

/** A commander error in our words; undefined when it only ends the program after help or version. */
export function fromCommander(
  error: CommanderError,
  program: Command,
  argv: readonly string[],
): RuntimeFault | undefined {
  if (error.exitCode === 0) return undefined
  const path = commandPath(program, argv)
  const names = path.at(-1)!.commands.map((command) => command.name())
  const where = path.map((command) => command.name()).join(' ')
  const [quoted = ''] = /'[^']*'/.exec(error.message) ?? []
  const suggestion = /\((Did you mean [^)]+)\)/.exec(error.message)
  const fix = suggestion?.[1] ?? `Run \`${where} --help\`.`
  switch (error.code) {
    case 'commander.unknownCommand':
      return usageFault(where, `one of ${names.join(', ')}`, quoted, fix)
    case 'commander.help':
      return usageFault(where, `one of ${names.join(', ')}`, 'none', fix)
    case 'commander.unknownOption':
      return usageFault(where, 'a known option', quoted, fix)
    case 'commander.optionMissingArgument':
      return usageFault(where, `a value for ${quoted.replaceAll("'", '')}`, 'none', fix)
    case 'commander.missingMandatoryOptionValue':
      return usageFault(where, quoted.replaceAll("'", ''), 'none', fix)
    case 'commander.excessArguments':
      return surplusFault(path.at(-1)!, where, fix)
    default:
      return usageFault(where, 'a valid command line', error.message.replace(/^error: /, ''), fix)
  }
}

function surplusFault(
  { args, options, registeredArguments }: Command,
  where: string,
  fix: string,
): RuntimeFault {
  const surplus = args.slice(registeredArguments.length).map((each) => `'${each}'`)
  const names = registeredArguments.map((each) => each.name()).join(' and ')
  const takesText = options.some(({ flags }) => flags.endsWith('<text>'))
  return usageFault(
    where,
    names === '' ? 'options only' : `nothing after ${names} but options`,
    surplus.join(' '),
    takesText ? `Quote text that has spaces. ${fix}` : fix,
  )
}

/** The program, and the commands and subcommands that the arguments name. */
function commandPath(program: Command, argv: readonly string[]): Command[] {
  const path = [program]
  for (const argument of argv) {
    const next = path.at(-1)!.commands.find((command) => command.name() === argument)
    if (next !== undefined) path.push(next)
  }
  return path
}

/** The flags of the command that the arguments name. */
export function flagsOf(program: Command, argv: readonly string[]): readonly string[] {
  return commandPath(program, argv).flatMap(({ options }) => options.flatMap(({ long }) => long ?? []))
}

/** The message of a fault, about flags; anything else is a bug of ours and says so on one line. */
function faultMessage(error: unknown, flags: readonly string[]): string {
  if (error instanceof RuntimeFault) return inFlags(error, flags)
  const got = error instanceof Error ? `${error.name}: ${error.message}` : String(error)
  const line = got.replaceAll(/\s*\n\s*/g, ' ')
  return `[internal] tabhopper: expected no unforeseen error, got ${line}. Set TABHOPPER_DEBUG=1 to see where, and report it.`
}

/** The library speaks of its options; who typed a command knows them as flags. */
function inFlags(fault: RuntimeFault, flags: readonly string[]): string {
  const { code, where, message } = fault
  const rest = message.slice(`[${code}] ${where}`.length)
  const [subject = ''] = where.split(' ', 1)
  let text = rest
  let about = where
  for (const flag of flags) {
    const words = flag.replace(/^--/, '').split('-')
    const camel = words.map((word, i) => (i === 0 ? word : word[0]!.toUpperCase() + word.slice(1))).join('')
    const names = [camel, words.join('_')]
    if (names.includes(subject)) {
      about = flag + where.slice(subject.length)
      text = text.replace(new RegExp(`Correct ${subject}\\b`), `Correct ${flag}`)
    }
    // A name of one word is a word of the language, too.
    if (words.length > 1)
      for (const name of names) text = text.replaceAll(new RegExp(`\\b${name}\\b`, 'g'), flag)
  }
  for (const [name, words] of sizesWithoutFlags)
    text = text.replaceAll(new RegExp(`\\b${name} (\\d+)`, 'g'), words)
  return `[${isUsage(fault, flags) ? 'cli/usage' : code}] ${about}${text}`
}

/** Sizes that a fault sums up, where the command has no flag for them. */
const sizesWithoutFlags = [
  ['maxSeqLen', 'sequences of $1 tokens'],
  ['maxNumSeqs', '$1 sequences at once'],
] as const

/** Whether it is the command line that is wrong: a prompt that does not fit is, if a flag gave it. */
function isUsage({ code, where }: RuntimeFault, flags: readonly string[]): boolean {
  return (
    code === 'cli/usage' ||
    code === 'engine/input' ||
    (code === 'engine/context' && flags.includes(`--${where}`))
  )
}

/** Writes an error to stderr and tells the exit code. The stack and causes appear only with TABHOPPER_DEBUG=1. */
export async function reportFault(
  error: unknown,
  { stderr, env, flags }: Pick<CommandContext, 'stderr' | 'env' | 'flags'>,
): Promise<number> {
  const { red } = coloursFor(stderr, env)
  await writeLine(stderr, faultMessage(error, flags).replace(/^\[[^\]]*\]/, red))
  if (env['TABHOPPER_DEBUG'] === '1') await writeLine(stderr, stackOf(error))
  return error instanceof RuntimeFault && isUsage(error, flags) ? exitCodes.usage : exitCodes.failure
}

function stackOf(error: unknown): string {
  if (!(error instanceof Error))
    return typeof error === 'string' ? error : (JSON.stringify(error) ?? 'nothing')
  const own = error.stack ?? error.message
  return error.cause === undefined ? own : `${own}\ncaused by: ${stackOf(error.cause)}`
}
