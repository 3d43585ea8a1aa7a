// `help [command]`, of the program and of commands that have commands. `--help` is Commander's.

import type { Command } from 'commander'
import { usageFault } from './faults.ts'

/** Adds `help` to the commands of `group`, in place of Commander's own. */
export function addHelp(group: Command): void {
  group
    .helpCommand(false)
    .command('help')
    .description('print help on a command')
    .argument('[command...]', 'its name; without one, help on all')
    .action((names: readonly string[]) => commandAt(group, names).outputHelp())
}

/** Throws cli/usage for a name that is none of a command's commands. */
function commandAt(group: Command, names: readonly string[]): Command {
  let command = group
  for (const name of names) {
    const next = command.commands.find((each) => each.name() === name)
    if (next === undefined) throw unknownFault(command, name)
    command = next
  }
  return command
}

function unknownFault(command: Command, name: string): Error {
  const known = command.commands.map((each) => each.name()).join(', ')
  const where = pathOf(command)
  const expected = known === '' ? 'no further name' : `one of ${known}`
  return usageFault(where, expected, `'${name}'`, `Run \`${where} --help\`.`)
}

function pathOf(command: Command): string {
  return command.parent === null ? command.name() : `${pathOf(command.parent)} ${command.name()}`
}
