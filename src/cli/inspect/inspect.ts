// `tabhopper inspect`: what a model is and what running it would take, as text, JSON or a drawing.

import { Option, type Command } from 'commander'
import type { FloatDType } from '../../graph/opDef.ts'
import { graphToDot } from '../../graph/print.ts'
import type { CommandContext, Runner } from '../deps.ts'
import { usageFault } from '../faults.ts'
import {
  addSourceOptions,
  choice,
  dtypeOption,
  jsonOption,
  maxSeqLenOption,
  modelOption,
  type SourceFlags,
} from '../options.ts'
import { withModel } from '../session.ts'
import { writeJson, writeLine } from '../terminal.ts'
import { inspectDocument } from './document.ts'
import { inspectModel } from './inspection.ts'
import { inspectReport } from './report.ts'

type Format = 'text' | 'json' | 'dot'

interface InspectFlags extends SourceFlags {
  readonly format?: Format
  readonly json?: boolean
  readonly dtype?: FloatDType
  readonly maxSeqLen?: number
}

export function addInspect(program: Command, run: Runner): void {
  const command = program
    .command('inspect')
    .description("show a model's configuration, tensors, graph, plan and memory; needs no GPU")
    .addOption(modelOption())
  addSourceOptions(command)
    .addOption(
      new Option('--format <format>', 'text, json, or dot: the graph for Graphviz')
        .argParser(choice<Format>('--format', ['text', 'json', 'dot']))
        .default(undefined, 'text'),
    )
    .addOption(jsonOption())
    .addOption(dtypeOption())
    .addOption(maxSeqLenOption())
    .addHelpText(
      'after',
      `
Examples:
  $ tabhopper inspect --model ./my-llama
  $ tabhopper inspect --format dot | dot -Tsvg > graph.svg`,
    )
    .action(run(inspect))
}

async function inspect(flags: InspectFlags, context: CommandContext): Promise<void> {
  const { stdout, env } = context
  const format = formatOf(flags)
  await withModel(flags, context, async (model) => {
    const inspection = await inspectModel(model, flags, context)
    switch (format) {
      case 'text':
        return writeLine(stdout, inspectReport(inspection, stdout, env))
      case 'json':
        return writeJson(stdout, inspectDocument(inspection))
      case 'dot':
        return writeLine(stdout, graphToDot(inspection.plan.graph))
      default:
        return format satisfies never
    }
  })
}

/** Throws cli/usage where --json asks for another format than --format. */
function formatOf({ json, format }: InspectFlags): Format {
  if (json !== true) return format ?? 'text'
  if (format === undefined || format === 'json') return 'json'
  throw usageFault('--json', `either --json or --format ${format}`, 'both', 'Leave one of them out.')
}
