// `tabhopper bench kernels`: every variant of every kernel at the shapes of a model's layers, row by row as it is measured.

import { Option, type Command } from 'commander'
import type { FloatDType } from '../api/types.ts'
import { benchKernels, kindsOf } from '../bench/kernels.ts'
import { measureRoofs } from '../bench/roofs.ts'
import { isSynthetic } from '../bench/synthetic.ts'
import {
  adapterOption,
  benchDtypeOption,
  benchModelOption,
  countOption,
  counts,
  familyOption,
} from './benchOptions.ts'
import { roofLines } from './benchReport.ts'
import { withBenchDevice } from './benchSession.ts'
import type { CommandContext, Runner } from './deps.ts'
import { usageFault } from './faults.ts'
import { KernelReport } from './kernelReport.ts'
import { jsonOption } from './options.ts'
import { coloursFor, wrap, writeJson, writeLine } from './terminal.ts'

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

export function addBenchKernels(bench: Command, run: Runner): void {
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

async function kernels(flags: KernelFlags, context: CommandContext): Promise<void> {
  const { family, dtype, runs, contextTokens, adapter } = flags
  const { stdout, env, version, signal } = context
  const models = flags.model === undefined ? ['synthetic:llama-110m', 'synthetic:llama-2-7b'] : [flags.model]
  const real = models.find((model) => !isSynthetic(model))
  if (real !== undefined)
    throw usageFault('--model', 'a synthetic model', real, 'Kernels are timed on random weights.')
  await withBenchDevice(adapter, context, async ({ device, gpu, loadAverage }, onPhase) => {
    const options = { ...flags, family, models }
    const kinds = kindsOf(device, options)
    if (family !== undefined && !kinds.some((kind) => kind === family))
      throw usageFault(
        '--family',
        `an op that is left once passes have fused others: ${kinds.join(', ')}`,
        family,
        'Give one of these.',
      )
    onPhase('roofs')
    const roofs = await measureRoofs(gpu, { isSoftware: device.adapter.isSoftware, signal })
    onPhase('')
    const columns = stdout.columns ?? Infinity
    const report = new KernelReport(coloursFor(stdout, env), columns)
    const writeLines = async (lines: readonly string[]): Promise<void> => {
      if (flags.json === true || lines.length === 0) return
      onPhase('')
      await writeLine(stdout, lines.join('\n'))
    }
    await writeLines([
      ...wrap(`${device.adapter.description}, ${dtype}, load average ${loadAverage().toFixed(1)}`, columns),
      ...roofLines(roofs, columns),
      '',
      ...report.head(),
    ])
    const onResult = (result: Parameters<KernelReport['add']>[0]): Promise<void> =>
      writeLines(report.add(result))
    const results = await benchKernels(device, { ...options, roofs, signal, onPhase, onResult })
    onPhase('')
    await writeLines(report.end())
    if (flags.json !== true) return
    await writeJson(stdout, {
      version,
      adapter: device.adapter,
      dtype,
      runs,
      contextTokens,
      loadAverage: loadAverage(),
      roofs,
      results,
    })
  })
}
