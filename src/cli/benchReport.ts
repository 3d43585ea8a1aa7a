// Results of model and roof benchmarks as text for a person. Kernels are in kernelReport.ts.

import type { LlmBench } from '../bench/llm.ts'
import { formatBytes } from '../core/units.ts'
import type { KernelTime } from '../engine/kernelTimes.ts'
import { medianRoofs, type Roof, type Roofs } from '../bench/roofs.ts'
import type { Samples } from '../bench/statistics.ts'
import type { Environment, OutputStream } from './deps.ts'
import { coloursFor, list, tableWithNotes, wrap } from './terminal.ts'

const numKernelRows = 12

export function llmReport(
  bench: LlmBench,
  loadAverage: number,
  stdout: OutputStream,
  env: Environment,
): string {
  const { bold, dim } = coloursFor(stdout, env)
  const { bytes, gpuMs, roofs } = bench
  const columns = stdout.columns ?? Infinity
  const rows = [
    [
      'prefill',
      range(bench.prefillTokensPerSecond),
      'tok/s',
      reached(bench.prefillGflops, 'GFLOP/s', bench.prefillRoofFraction),
    ],
    [
      'decode',
      range(bench.decodeTokensPerSecond),
      'tok/s',
      `${atOnce(bench)}${reached(bench.decodeGigabytesPerSecond, 'GB/s of weights', bench.decodeRoofFraction)}`,
    ],
    ['time to first token', range(bench.ttftMs), 'ms', ''],
    [
      'CPU per decode step',
      range(bench.cpuMsPerDecodeStep),
      'ms',
      `${bench.dispatchesPerDecodeStep} dispatches`,
    ],
  ]
  const memory = [
    ['weights', bytes.weights],
    ['KV cache', bytes.states],
    ['arena', bytes.arena],
    ['step buffers', bytes.step + bytes.readback],
  ] as const
  const total = Object.values(bytes).reduce((sum, value) => sum + value, 0)
  return [
    ...wrap(
      `${bold(bench.model)}  ${bench.dtype}, ${counted(bench.numLayers, 'layer')}, ${bench.promptTokens} + ${bench.newTokens} tokens, batch ${bench.batch}`,
      columns,
    ),
    ...wrap(
      dim(
        `${bench.adapter.description}, load average ${loadAverage.toFixed(1)}, loaded in ${number(bench.loadSeconds)} s`,
      ),
      columns,
    ),
    ...tableWithNotes(rows, [1], columns),
    ...list(
      'memory:',
      [...memory.map(([name, size]) => `${name} ${formatBytes(size)}`), `${bold(formatBytes(total))} in all`],
      columns,
    ),
    ...(roofs.length === 0 ? [] : ['', ...roofLines(medianRoofs(roofs), columns)]),
    ...(gpuMs === undefined
      ? ['', 'GPU time by kernel: this adapter has no timestamps.']
      : [
          ...kernelTable('prefill', gpuMs.prefill, columns),
          ...kernelTable('one decode step', gpuMs.decode, columns),
        ]),
  ].join('\n')
}

export function roofLines({ read, copy, fma, dot4 }: Roofs, columns: number): string[] {
  const row = (name: string, roof: Roof | undefined): string[] =>
    roof === undefined
      ? [name, 'none', '', '']
      : [name, number(roof.value), roof.unit, `${roof.form}; at best ${number(roof.best)}`]
  return tableWithNotes(
    [
      row('roof: read', read),
      row('roof: copy', copy),
      row('roof: f32 multiply-add', fma),
      row('roof: int8 dot product', dot4),
    ],
    [1],
    columns,
  )
}

function kernelTable(title: string, times: readonly KernelTime[], columns: number): string[] {
  const total = times.reduce((sum, { ms }) => sum + ms, 0)
  const rows = times
    .slice(0, numKernelRows)
    .map(({ variant, origin, dispatches, ms, share }) => [
      variant,
      number(dispatches),
      number(ms),
      `${(100 * share).toFixed(1)} %`,
      origin,
    ])
  const rest = times.slice(numKernelRows)
  if (rest.length > 0) rows.push(sumRow(`and ${rest.length} more`, rest))
  const head = ['kernel', 'times', 'ms', 'share', 'at']
  return [
    '',
    `GPU time of ${title}: ${number(total)} ms`,
    ...tableWithNotes([head, ...rows], [1, 2, 3], columns),
  ]
}

/** Said only where not all sequences decode together: the first ones end while prompts are still computed. */
function atOnce({ sequencesPerDecodeStep, batch }: LlmBench): string {
  const isWhole = sequencesPerDecodeStep > batch - 0.05
  return isWhole ? '' : `${number(sequencesPerDecodeStep)} of ${batch} sequences: `
}

function sumRow(title: string, times: readonly KernelTime[]): string[] {
  const sum = (key: 'dispatches' | 'ms' | 'share'): number => times.reduce((all, each) => all + each[key], 0)
  return [title, number(sum('dispatches')), number(sum('ms')), `${(100 * sum('share')).toFixed(1)} %`, '']
}

function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`
}

function range({ median, min, max }: Samples): string {
  return `${number(median)} (${number(min)} to ${number(max)})`
}

function reached(value: Samples, unit: string, fraction: Samples | undefined): string {
  const rate = `${number(value.median)} ${unit}`
  if (fraction === undefined) return rate
  const { median, min, max } = fraction
  const [low, high] = [min, max].map((value) => (100 * value).toFixed(1))
  return `${rate}, ${percent(median)} (${low} to ${high}) of the roof`
}

export function percent(fraction: number | undefined): string {
  return fraction === undefined ? '' : `${(100 * fraction).toFixed(1)} %`
}

/** Three significant digits. */
export function number(value: number): string {
  return Math.abs(value) >= 100 ? value.toFixed(0) : String(Number(value.toPrecision(3)))
}
