// `tabhopper bench`: speed of a model, of each kernel, and of the adapter itself, always beside the adapter's roofs.

import type { Command } from 'commander'
import type { FloatDType } from '../api/types.ts'
import { benchLines } from '../bench/lines.ts'
import { benchLlm, layersWithin } from '../bench/llm.ts'
import { measureRoofs } from '../bench/roofs.ts'
import { isSynthetic, syntheticModel, type BenchModel } from '../bench/synthetic.ts'
import { RuntimeFault } from '../core/errors.ts'
import type { Device } from '../device/device.ts'
import { softwareBudget } from '../engine/memoryPlan.ts'
import { addBenchKernels } from './benchKernels.ts'
import {
  adapterOption,
  benchDtypeOption,
  benchModelOption,
  countOption,
  layersOption,
} from './benchOptions.ts'
import { llmReport, roofLines } from './benchReport.ts'
import { withBenchDevice } from './benchSession.ts'
import type { CommandContext, Runner } from './deps.ts'
import { usageFault, withAdvice } from './faults.ts'
import { addHelp } from './help.ts'
import { addSourceOptions, jsonOption, maxMemoryOption, type SourceFlags } from './options.ts'
import { withModel } from './session.ts'
import { wrap, writeJson, writeLine } from './terminal.ts'

interface LlmFlags extends SourceFlags {
  readonly promptTokens: number
  readonly newTokens: number
  readonly batch: number
  readonly dtype: FloatDType
  readonly layers?: number
  readonly runs: number
  readonly warmUps: number
  readonly maxMemory?: number
  readonly adapter?: string
  readonly roofs: boolean
  readonly json?: boolean
  readonly lines?: boolean
}

interface RoofFlags {
  readonly adapter?: string
  readonly json?: boolean
}

export function addBench(program: Command, run: Runner): void {
  const bench = program.command('bench').description('measure speed, beside what the adapter can do at best')
  addBenchLlm(bench, run)
  addBenchKernels(bench, run)
  bench
    .command('roofs')
    .description('streaming reads and copies, multiply-adds and int8 dot products of the adapter')
    .addOption(adapterOption())
    .addOption(jsonOption())
    .addHelpText('after', '\nExample:\n  $ tabhopper bench roofs --json')
    .action(run(roofs))
  bench.addHelpText(
    'after',
    `
Examples:
  $ tabhopper bench llm --model synthetic:llama-15m
  $ tabhopper bench kernels --family linear`,
  )
  addHelp(bench)
}

function addBenchLlm(bench: Command, run: Runner): void {
  const command = bench
    .command('llm')
    .description('prefill and decode speed of a model')
    .addOption(benchModelOption())
  addSourceOptions(command)
    .addOption(countOption('--prompt-tokens <n>', 'tokens of each prompt', 128))
    .addOption(countOption('--new-tokens <n>', 'tokens to decode after the first one', 64))
    .addOption(countOption('--batch <n>', 'sequences at once', 1, { max: 256 }))
    .addOption(benchDtypeOption())
    .addOption(layersOption())
    .addOption(countOption('--runs <n>', 'timed runs, of which the median counts', 3))
    .addOption(countOption('--warm-ups <n>', 'runs before those', 1, { min: 0 }))
    .addOption(maxMemoryOption())
    .addOption(adapterOption())
    .option('--no-roofs', "leave the adapter's roofs out, which takes some seconds less")
    .addOption(jsonOption())
    .option('--lines', 'print one JSON object a line and metric, for comparison with other runtimes')
    .addHelpText(
      'after',
      `
Examples:
  $ tabhopper bench llm --model synthetic:llama-110m --prompt-tokens 128 --new-tokens 64 --dtype f16 --json
  $ tabhopper bench llm --model ./my-llama --batch 4`,
    )
    .action(run(llm))
}

async function llm(flags: LlmFlags, context: CommandContext): Promise<void> {
  const { model, dtype, layers } = flags
  if (flags.json === true && flags.lines === true)
    throw usageFault('--lines', 'either --lines or --json', 'both', 'Leave one of them out.')
  if (isSynthetic(model)) {
    checkNothingFetched(flags)
    return llmOf(syntheticModel(model, { dtype, layers }), flags, context)
  }
  if (layers !== undefined)
    throw usageFault('--layers', 'a synthetic model', model, 'Leave the flag out for a real model.')
  return withModel(flags, context, (loaded) => llmOf(loaded, flags, context))
}

/** Throws cli/usage for flags that say how a model is fetched. */
function checkNothingFetched({ model, revision, token, cache }: LlmFlags): void {
  const given = [
    revision === undefined ? [] : ['--revision'],
    token === undefined ? [] : ['--token'],
    cache === false ? ['--no-cache'] : [],
  ]
  const [flag] = given.flat()
  if (flag === undefined) return
  throw usageFault(flag, 'a model of a hub or a server', model, 'Leave the flag out for a synthetic model.')
}

async function llmOf(model: BenchModel, flags: LlmFlags, context: CommandContext): Promise<void> {
  const { promptTokens, newTokens, runs, warmUps } = flags
  const { maxSeqLen } = model.spec.config
  const { stdout, env, version, signal } = context
  const numTokens = promptTokens + newTokens + 1
  if (numTokens > maxSeqLen) {
    const got = `${promptTokens} + ${newTokens} + 1 tokens`
    throw usageFault('--prompt-tokens', `at most ${maxSeqLen} tokens in all`, got, 'Use fewer.')
  }
  await withBenchDevice(
    flags.adapter,
    context,
    async ({ device, gpu, availableMemoryBytes, loadAverage }, onPhase) => {
      const { isSoftware } = device.adapter
      const maxMemoryBytes =
        flags.maxMemory ?? (isSoftware ? softwareBudget(availableMemoryBytes) : undefined)
      const bench = await benchLlm(device, model, {
        ...flags,
        measureRoofs: flags.roofs ? () => measureRoofs(gpu, { isSoftware, signal }) : undefined,
        maxMemoryBytes,
        limit: flags.maxMemory === undefined ? 'freeMemory' : 'maxMemory',
        signal,
        onPhase,
      }).catch((error: unknown) => {
        throw withLayers(error, device, model, { ...flags, maxMemoryBytes })
      })
      onPhase('')
      if (flags.lines === true)
        for (const line of benchLines(bench, version)) await writeLine(stdout, JSON.stringify(line))
      else if (flags.json === true)
        await writeJson(stdout, { version, ...bench, runs, warmUps, loadAverage: loadAverage() })
      else await writeLine(stdout, llmReport(bench, loadAverage(), stdout, env))
    },
  )
}

/** A fault of memory advises fewer layers, where the model can have fewer; other errors stay as they are. */
function withLayers(
  error: unknown,
  device: Device,
  { name, spec }: BenchModel,
  options: LlmFlags & { readonly maxMemoryBytes: number | undefined },
): unknown {
  const canBeFewer = isSynthetic(name) && spec.config.numLayers > 1
  if (!(error instanceof RuntimeFault && error.code === 'engine/memory' && canBeFewer)) return error
  const { dtype } = options
  const fitting = layersWithin(device, (layers) => syntheticModel(name, { dtype, layers }), options)
  // The device may have refused what the budget allows.
  if (fitting === undefined || fitting >= spec.config.numLayers)
    return withAdvice(error, 'Or take fewer layers with --layers.')
  return fitting === 0 ? error : withAdvice(error, `Or take fewer layers: --layers ${fitting} fits.`)
}

async function roofs(flags: RoofFlags, context: CommandContext): Promise<void> {
  const { stdout, version, signal } = context
  await withBenchDevice(flags.adapter, context, async ({ device, gpu, loadAverage }, onPhase) => {
    const { adapter } = device
    onPhase('roofs')
    const roofs = await measureRoofs(gpu, { isSoftware: adapter.isSoftware, signal })
    onPhase('')
    if (flags.json === true) return writeJson(stdout, { version, adapter, loadAverage: loadAverage(), roofs })
    const columns = stdout.columns ?? Infinity
    const head = `${adapter.description}, load average ${loadAverage().toFixed(1)}`
    await writeLine(stdout, [...wrap(head, columns), ...roofLines(roofs, columns)].join('\n'))
  })
}
