// Benchmark results as text for a person.

import { notForShape, notOnAdapter } from '../bench/forcedVariant.ts'
import type { KernelResult } from '../bench/kernels.ts'
import type { LlmBench } from '../bench/llm.ts'
import { formatBytes } from '../core/units.ts'
import type { KernelTime } from '../engine/kernelTimes.ts'
import { medianRoofs, type Roof, type Roofs } from '../bench/roofs.ts'
import type { Samples } from '../bench/statistics.ts'
import type { Environment, OutputStream } from './deps.ts'
import { coloursFor, table } from './terminal.ts'

const numKernelRows = 12

export function llmReport(
  bench: LlmBench,
  loadAverage: number,
  stdout: OutputStream,
  env: Environment,
): string {
  const { bold, dim } = coloursFor(stdout, env)
  const { bytes, gpuMs, roofs } = bench
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
      reached(bench.decodeGigabytesPerSecond, 'GB/s of weights', bench.decodeRoofFraction),
    ],
    ['time to first token', range(bench.ttftMs), 'ms', ''],
    [
      'CPU per decode step',
      range(bench.cpuMsPerDecodeStep),
      'ms',
      `${bench.dispatchesPerDecodeStep} dispatches`,
    ],
  ]
  const memory = (['weights', 'states', 'arena', 'step', 'readback'] as const).map(
    (owner) => `${owner} ${formatBytes(bytes[owner])}`,
  )
  const total = Object.values(bytes).reduce((sum, value) => sum + value, 0)
  return [
    `${bold(bench.model)}  ${bench.dtype}, ${bench.numLayers} layers, ${bench.promptTokens} + ${bench.newTokens} tokens, batch ${bench.batch}`,
    dim(
      `${bench.adapter.description}, load average ${loadAverage.toFixed(1)}, loaded in ${number(bench.loadSeconds)} s`,
    ),
    ...table(rows, [1]),
    `memory: ${memory.join(', ')}; ${bold(formatBytes(total))} in all`,
    ...(roofs.length === 0 ? [] : ['', ...roofLines(medianRoofs(roofs))]),
    ...(gpuMs === undefined
      ? ['', 'GPU time by kernel: this adapter has no timestamps.']
      : [...kernelTable('prefill', gpuMs.prefill), ...kernelTable('one decode step', gpuMs.decode)]),
  ].join('\n')
}

export function roofLines({ read, copy, fma, dot4 }: Roofs): string[] {
  const row = (name: string, roof: Roof | undefined): string[] =>
    roof === undefined
      ? [name, 'none', '', '']
      : [name, number(roof.value), roof.unit, `${roof.form}; at best ${number(roof.best)}`]
  return table(
    [
      row('roof: read', read),
      row('roof: copy', copy),
      row('roof: f32 multiply-add', fma),
      row('roof: int8 dot product', dot4),
    ],
    [1],
  )
}

function kernelTable(title: string, times: readonly KernelTime[]): string[] {
  const total = times.reduce((sum, { ms }) => sum + ms, 0)
  const rows = times
    .slice(0, numKernelRows)
    .map(({ variant, origin, dispatches, ms, share }) => [
      variant,
      origin,
      number(dispatches),
      number(ms),
      `${(100 * share).toFixed(1)} %`,
    ])
  const head = ['kernel', 'at', 'dispatches', 'ms', 'share']
  return ['', `GPU time of ${title}: ${number(total)} ms`, ...table([head, ...rows], [2, 3, 4])]
}

/** Of a variant that is meant for other adapters. */
const audience = { gpu: 'for GPUs', software: 'for CPUs' } as const

export function kernelReport(results: readonly KernelResult[]): string[] {
  const head = ['model', 'tokens', 'kernel', 'at', 'µs', 'GB/s', 'GFLOP/s', 'of roof']
  const rows = results
    .filter(({ skipped }) => !isUnsupported(skipped))
    .map((result) => {
      const start = [
        result.model.replace('synthetic:', ''),
        String(result.tokens),
        `${result.variant}${result.isChosen ? ' *' : ''}${result.meantFor === undefined ? '' : ` (${audience[result.meantFor]})`}`,
        result.origin,
      ]
      if (result.micros === undefined) return [...start, '-', '-', '-', `skipped: ${result.skipped}`]
      return [
        ...start,
        number(result.micros),
        number(result.gigabytesPerSecond!),
        result.gflops === undefined ? '' : number(result.gflops),
        percent(result.roofFraction),
      ]
    })
  return [
    ...table([head, ...rows], [1, 4, 5, 6]),
    '* the variant that plans take',
    ...unsupportedLines(results),
  ]
}

const unsupported: readonly string[] = [notOnAdapter, notForShape]

function isUnsupported(skipped: string | undefined): boolean {
  return skipped !== undefined && unsupported.includes(skipped)
}

/** One line for each op kind and reason for which variants did not run somewhere: which, and at how many of its ops. */
function unsupportedLines(results: readonly KernelResult[]): string[] {
  const kinds = [...new Set(results.map(({ op }) => op))]
  return kinds.flatMap((kind) => {
    const ofKind = results.filter(({ op }) => op === kind)
    return unsupported.flatMap((reason) => {
      const names = [...new Set(ofKind.map(({ variant }) => variant))].flatMap((name) => {
        const ofVariant = ofKind.filter(({ variant }) => variant === name)
        const numSkipped = ofVariant.filter(({ skipped }) => skipped === reason).length
        if (numSkipped === 0) return []
        return [numSkipped === ofVariant.length ? name : `${name} (${numSkipped} of ${ofVariant.length})`]
      })
      return names.length === 0 ? [] : [`${kind}: ${reason}: ${names.join(', ')}`]
    })
  })
}

function range({ median, min, max }: Samples): string {
  return `${number(median)} (${number(min)} to ${number(max)})`
}

function reached(value: Samples, unit: string, fraction: Samples | undefined): string {
  const rate = `${number(value.median)} ${unit}`
  if (fraction === undefined) return rate
  const { median, min, max } = fraction
  return `${rate}, ${percent(median)} (${percent(min)} to ${percent(max)}) of the roof`
}

function percent(fraction: number | undefined): string {
  return fraction === undefined ? '' : `${(100 * fraction).toFixed(1)} %`
}

/** Three significant digits. */
function number(value: number): string {
  return Math.abs(value) >= 100 ? value.toFixed(0) : String(Number(value.toPrecision(3)))
}
