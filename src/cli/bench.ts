// `tabhopper bench`: speed of a model, of each kernel, and of the adapter itself, always beside the adapter's roofs.

import { Option, type Command } from 'commander'
import type { FloatDType } from '../api/types.ts'
import { benchKernels } from '../bench/kernels.ts'
import { benchLines } from '../bench/lines.ts'
import { benchLlm } from '../bench/llm.ts'
import { measureRoofs } from '../bench/roofs.ts'
import { isSynthetic, syntheticModel, type BenchModel } from '../bench/synthetic.ts'
import { softwareBudget } from '../engine/memoryPlan.ts'
import {
  adapterOption,
  benchDtypeOption,
  benchModelOption,
  countOption,
  counts,
  familyOption,
  layersOption,
} from './benchOptions.ts'
import { kernelReport, llmReport, roofLines } from './benchReport.ts'
import type { BenchDevice, CommandContext, Runner } from './deps.ts'
import { usageFault } from './faults.ts'
import { addSourceOptions, jsonOption, maxMemoryOption, type SourceFlags } from './options.ts'
import { withModel } from './session.ts'
import { write, writeJson, writeLine } from './terminal.ts'

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

interface KernelFlags {
  readonly model?: string
  readonly family?: string
  readonly tokens: readonly number[]
  readonly contextTokens: number
  readonly dtype: FloatDType
  readonly runs: number
  readonly maxSeconds: number
  readonly adapter?: string
  readonly json?: boolean
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
}

function addBenchLlm(bench: Command, run: Runner): void {
  const command = bench
    .command('llm')
    .description('prefill and decode speed of a model')
    .addOption(benchModelOption())
  addSourceOptions(command)
    .addOption(countOption('--prompt-tokens <n>', 'tokens of each prompt', 128))
    .addOption(countOption('--new-tokens <n>', 'tokens to decode after the first one', 64))
    .addOption(countOption('--batch <n>', 'sequences at once', 1, 256))
    .addOption(benchDtypeOption())
    .addOption(layersOption())
    .addOption(countOption('--runs <n>', 'timed runs, of which the median counts', 3))
    .addOption(countOption('--warm-ups <n>', 'runs before those', 1))
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

function addBenchKernels(bench: Command, run: Runner): void {
  bench
    .command('kernels')
    .description("every variant of every kernel at the shapes of a model's layers")
    .addOption(benchModelOption().default(undefined, 'synthetic:llama-110m and synthetic:llama-2-7b'))
    .addOption(familyOption())
    .addOption(
      new Option('--tokens <list>', 'tokens of a step; 1 is decoding')
        .argParser(counts('--tokens', 65_536))
        .default([1, 128, 512], '1,128,512'),
    )
    .addOption(countOption('--context-tokens <n>', 'tokens in the cache when decoding', 512))
    .addOption(benchDtypeOption())
    .addOption(countOption('--runs <n>', 'timed runs, of which the median counts', 5))
    .addOption(countOption('--max-seconds <n>', 'leave out what would take longer for one variant', 20))
    .addOption(adapterOption())
    .addOption(jsonOption())
    .addHelpText('after', '\nExample:\n  $ tabhopper bench kernels --family attention --tokens 1 --json')
    .action(run(kernels))
}

async function llm(flags: LlmFlags, context: CommandContext): Promise<void> {
  const { model, dtype, layers } = flags
  if (isSynthetic(model)) return llmOf(syntheticModel(model, { dtype, layers }), flags, context)
  if (layers !== undefined)
    throw usageFault('--layers', 'a synthetic model', model, 'Leave the flag out for a real model.')
  return withModel(flags, context, (loaded) => llmOf(loaded, flags, context))
}

async function llmOf(model: BenchModel, flags: LlmFlags, context: CommandContext): Promise<void> {
  const { promptTokens, newTokens } = flags
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
      const bench = await benchLlm(device, model, {
        ...flags,
        measureRoofs: flags.roofs ? () => measureRoofs(gpu, { isSoftware }) : undefined,
        maxMemoryBytes: flags.maxMemory ?? (isSoftware ? softwareBudget(availableMemoryBytes) : undefined),
        signal,
        onPhase,
      })
      onPhase('')
      if (flags.lines === true)
        for (const line of benchLines(bench, version)) await writeLine(stdout, JSON.stringify(line))
      else if (flags.json === true) await writeJson(stdout, { ...bench, loadAverage: loadAverage() })
      else await writeLine(stdout, llmReport(bench, loadAverage(), stdout, env))
    },
  )
}

async function kernels(flags: KernelFlags, context: CommandContext): Promise<void> {
  const { stdout, signal } = context
  const models = flags.model === undefined ? ['synthetic:llama-110m', 'synthetic:llama-2-7b'] : [flags.model]
  const real = models.find((model) => !isSynthetic(model))
  if (real !== undefined)
    throw usageFault('--model', 'a synthetic model', real, 'Kernels are timed on random weights.')
  await withBenchDevice(flags.adapter, context, async ({ device, gpu, loadAverage }, onPhase) => {
    onPhase('roofs')
    const roofs = await measureRoofs(gpu, { isSoftware: device.adapter.isSoftware })
    const results = await benchKernels(device, {
      ...flags,
      family: flags.family,
      models,
      roofs,
      signal,
      onPhase,
    })
    onPhase('')
    if (flags.json === true)
      return writeJson(stdout, {
        adapter: device.adapter,
        dtype: flags.dtype,
        loadAverage: loadAverage(),
        roofs,
        results,
      })
    await writeLine(
      stdout,
      `${device.adapter.description}, ${flags.dtype}, load average ${loadAverage().toFixed(1)}`,
    )
    await writeLine(stdout, [...roofLines(roofs), '', ...kernelReport(results)].join('\n'))
  })
}

async function roofs(flags: RoofFlags, context: CommandContext): Promise<void> {
  const { stdout } = context
  await withBenchDevice(flags.adapter, context, async ({ device, gpu, loadAverage }) => {
    const { adapter } = device
    const roofs = await measureRoofs(gpu, { isSoftware: adapter.isSoftware })
    if (flags.json === true) return writeJson(stdout, { adapter, loadAverage: loadAverage(), roofs })
    await writeLine(stdout, `${adapter.description}, load average ${loadAverage().toFixed(1)}`)
    await writeLine(stdout, roofLines(roofs).join('\n'))
  })
}

/** Disposes the device in the end. What is being done is shown on a terminal only. */
async function withBenchDevice<T>(
  adapter: string | undefined,
  { openBenchDevice, stderr }: CommandContext,
  body: (opened: BenchDevice, onPhase: (phase: string) => void) => Promise<T>,
): Promise<T> {
  const opened = await openBenchDevice(adapter)
  let shown = ''
  const onPhase = (phase: string): void => {
    if (stderr.isTTY !== true || phase === shown) return
    shown = phase
    void write(stderr, `\r\u001b[K${phase}`)
  }
  try {
    return await body(opened, onPhase)
  } finally {
    onPhase('')
    opened.device.dispose()
  }
}
