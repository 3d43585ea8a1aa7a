// `tabhopper inspect`: what a model is and what running it would take. Plans as the engine would, on no device.

import { Option, type Command } from 'commander'
import { checkWeights } from '../../engine/loadWeights.ts'
import { blockSize, planLlama, planMemory, type MemoryPlan } from '../../engine/load.ts'
import type { DimEnv } from '../../graph/dim.ts'
import type { FloatDType } from '../../graph/opDef.ts'
import { graphToDot } from '../../graph/print.ts'
import type { Capabilities, Plan } from '../../plan/types.ts'
import type { CommandContext, LoadedModel, Runner } from '../deps.ts'
import { choice, dtypeOption, jsonOption, maxSeqLenOption, modelOption } from '../options.ts'
import { withModel } from '../session.ts'
import { writeJson, writeLine } from '../terminal.ts'
import { inspectDocument } from './document.ts'
import { inspectReport } from './report.ts'

type Format = 'text' | 'json' | 'dot'

interface InspectFlags {
  readonly model: string
  readonly format: Format
  readonly json?: boolean
  readonly dtype?: FloatDType
  readonly maxSeqLen?: number
}

/** Everything that the three formats show. */
export interface Inspection {
  readonly model: LoadedModel
  readonly dtype: FloatDType
  readonly maxSeqLen: number
  /** Whose limits the plan keeps. */
  readonly limitsOf: string
  /** Elements of all tensors. */
  readonly numParameters: number
  /** The plan for the largest step; it shares its graph with the smaller ones. */
  readonly plan: Plan
  /** Of all plans together. */
  readonly memory: MemoryPlan
}

/** What every WebGPU device offers at least. */
export const webgpuMinimum: Capabilities = {
  nativeF16: false,
  maxInvocationsPerWorkgroup: 256,
  maxWorkgroupBytes: 16_384,
  maxWorkgroupsPerDimension: 65_535,
  adapterClass: 'gpu',
  maxBindingBytes: 134_217_728,
  maxBufferBytes: 268_435_456,
  bindingAlignment: 256,
}

/** The engine's defaults. */
const maxNumSeqs = 8
const maxNumBatchedTokens = 256
const defaultMaxSeqLen = 4096

export function addInspect(program: Command, run: Runner): void {
  program
    .command('inspect')
    .description("show a model's configuration, tensors, graph, plan and memory; needs no GPU")
    .addOption(modelOption())
    .addOption(
      new Option('--format <format>', 'text, json, or dot: the graph for Graphviz')
        .argParser(choice<Format>('--format', ['text', 'json', 'dot']))
        .default('text'),
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
  await withModel(flags.model, context, async (model) => {
    const inspection = await inspectModel(model, flags, context)
    const format = flags.json === true ? 'json' : flags.format
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

async function inspectModel(
  model: LoadedModel,
  { dtype = 'f16', maxSeqLen = Math.min(model.config.maxSeqLen, defaultMaxSeqLen) }: InspectFlags,
  { probeAdapter }: CommandContext,
): Promise<Inspection> {
  // No driver, or one that fails, is no obstacle here.
  const probe = await probeAdapter().catch(() => undefined)
  const numBlocks = maxNumSeqs * Math.ceil(maxSeqLen / blockSize)
  const plans = planLlama(
    model.config,
    { dtype, maxSeqLen, maxNumSeqs, numBlocks, head: 'sample' },
    [1, maxNumSeqs, maxNumBatchedTokens].map((T): DimEnv => {
      const rows = Math.min(T, maxNumSeqs)
      return { T, S: rows, R: rows }
    }),
    probe?.capabilities ?? webgpuMinimum,
  )
  checkWeights(plans, model.checkpoint)
  return {
    model,
    dtype,
    maxSeqLen,
    limitsOf: probe?.info.description ?? 'the WebGPU minimum',
    numParameters: [...model.checkpoint.tensors.values()].reduce(
      (sum, { shape }) => sum + shape.reduce((product, dim) => product * dim, 1),
      0,
    ),
    plan: plans.at(-1)!,
    memory: planMemory(plans),
  }
}
