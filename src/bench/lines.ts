// Results in the line format in which other runtimes are compared: one JSON object a metric and workload.

import type { LlmBench } from './llm.ts'
import type { Samples } from './statistics.ts'
import { isSynthetic, syntheticSpec } from './synthetic.ts'

export interface BenchLine {
  readonly peer: string
  readonly version: string
  readonly adapter: string
  readonly workload: string
  readonly metric: string
  readonly value: number
  readonly unit: string
  readonly runs: readonly number[]
  readonly median: number
  /** The first greedy tokens, with `prefill`. */
  readonly tokens?: readonly number[]
}

/** As many as other runtimes print. */
const shownTokens = 8

/**
 * `prefill` and `decode` of one run; the workload is named `llama-15m-f32-p128g16`, or `llama-15m-l2-f32-p128g16` if it has
 * other layers than its name says. A folder `15m` is `llama-15m`, too: so the benchmarks of other runtimes call it.
 */
export function benchLines(bench: LlmBench, version: string): BenchLine[] {
  const line = (metric: string, { median, runs }: Samples): BenchLine => ({
    peer: 'tabhopper',
    version,
    adapter: shortAdapter(bench.adapter.description),
    workload: workloadOf(bench),
    metric,
    value: median,
    unit: 'tok/s',
    runs,
    median,
  })
  return [
    { ...line('prefill', bench.prefillTokensPerSecond), tokens: bench.tokens.slice(0, shownTokens) },
    line('decode', bench.decodeTokensPerSecond),
  ]
}

function workloadOf({ model, numLayers, dtype, promptTokens, newTokens, batch }: LlmBench): string {
  const base = model
    .replace(/^synthetic:/, '')
    .replace(/[/\\]+$/, '')
    .replace(/^.*[/\\]/, '')
  const isAsNamed = !isSynthetic(model) || syntheticSpec(model).config.numLayers === numLayers
  const name = /llama/i.test(base) ? base : `llama-${base}`
  return `${name}${isAsNamed ? '' : `-l${numLayers}`}-${dtype}-p${promptTokens}g${newTokens}${batch === 1 ? '' : `b${batch}`}`
}

function shortAdapter(description: string): string {
  if (/llvmpipe/i.test(description)) return 'lavapipe'
  return /swiftshader/i.test(description) ? 'swiftshader' : description
}
