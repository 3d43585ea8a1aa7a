// Times every variant of every kernel at the shapes of a model's layer: one decode step and prefills. What is meant for other
// adapters and can run is timed as well; what cannot is listed with its reason, never left out silently.

import { bytesOf } from '../core/dtype.ts'
import { RuntimeFault, throwIfCancelled } from '../core/errors.ts'
import type { Device } from '../device/device.ts'
import { blockSize, blocksFor, preparePlans } from '../engine/load.ts'
import { loadWeights } from '../engine/loadWeights.ts'
import { numElements, type DimEnv } from '../graph/dim.ts'
import { valueOf, type Graph, type Op } from '../graph/graph.ts'
import type { FloatDType } from '../graph/opDef.ts'
import { opDef, type OpKind } from '../graph/ops/index.ts'
import { wgslKernels } from '../kernels/index.ts'
import type { KernelVariant } from '../kernels/spec.ts'
import type { LlmSpec } from '../models/spec.ts'
import { inferencePassesFor, runPasses } from '../passes/index.ts'
import { bindingLimit, makePlan } from '../plan/plan.ts'
import { StepWriter, type Step } from '../plan/stepLayout.ts'
import type { Plan } from '../plan/types.ts'
import { forceVariant, type Verdict } from './forcedVariant.ts'
import { isolateOps, type IsolatedOp } from './isolate.ts'
import type { Roofs } from './roofs.ts'
import { median } from './statistics.ts'
import { syntheticSpec, syntheticTensors } from './synthetic.ts'
import { opFlops } from './work.ts'

export interface KernelBenchOptions {
  readonly models: readonly string[]
  readonly dtype: FloatDType
  /** Tokens of one sequence in a step: 1 is decoding, with `contextTokens` before it. */
  readonly tokens: readonly number[]
  readonly contextTokens: number
  /** Only this op kind. */
  readonly family: string | undefined
  readonly runs: number
  /** Of all copies of an op's weights; more than any cache holds. Default 64 MiB. */
  readonly weightBytes?: number
  /** Variants that would take longer for all their runs are skipped. */
  readonly maxSeconds: number
  readonly roofs: Roofs
  readonly signal?: AbortSignal | undefined
  readonly onPhase?: ((phase: string) => void) | undefined
  readonly onResult?: ((result: KernelResult) => void | Promise<void>) | undefined
}

export interface KernelResult extends Verdict {
  readonly model: string
  readonly tokens: number
  readonly op: OpKind
  readonly origin: string
  readonly shape: string
  readonly variant: string
  /** Undefined where it could not run; `skipped` says why. */
  readonly micros: number | undefined
  readonly gigabytesPerSecond: number | undefined
  readonly gflops: number | undefined
  /** Time that the roofs allow over time taken. */
  readonly roofFraction: number | undefined
}

/** Op kinds that have kernels: what `family` may name. */
export const kernelFamilies: readonly string[] = Object.keys(wgslKernels.specs)

/** Names of all variants of all kernels. */
export const kernelVariants: readonly string[] = Object.values(wgslKernels.specs).flatMap(({ variants }) =>
  variants.map(({ name }) => name),
)

/** Op kinds that are left once the passes have fused others. */
export function kindsOf(
  { capabilities }: Device,
  {
    models,
    tokens,
    contextTokens,
    dtype,
  }: Pick<KernelBenchOptions, 'models' | 'tokens' | 'contextTokens' | 'dtype'>,
): OpKind[] {
  const ops = models.flatMap((model) =>
    tokens.flatMap((count) => {
      const step = stepOf(count, contextTokens)
      return graphOf(syntheticSpec(model, 1), step, dtype, bindingLimit(capabilities)).ops
    }),
  )
  return [...new Set(ops.map(({ kind }) => kind))].filter((kind) => opDef(kind).view !== true)
}

/** Throws engine/cancelled after the run during which the signal fires. */
export async function benchKernels(device: Device, options: KernelBenchOptions): Promise<KernelResult[]> {
  const results: KernelResult[] = []
  for (const model of options.models) {
    const spec = syntheticSpec(model, 1)
    for (const tokens of options.tokens) {
      const step = stepOf(tokens, options.contextTokens)
      for (const op of isolateOps(
        graphOf(spec, step, options.dtype, bindingLimit(device.capabilities)),
        step.dims,
        options.weightBytes ?? 2 ** 26,
      )) {
        if (options.family !== undefined && op.kind !== options.family) continue
        for (const variant of wgslKernels.specs[op.kind]?.variants ?? []) {
          throwIfCancelled(options.signal, 'bench kernels')
          options.onPhase?.(
            `${model} ${tokens} token${tokens === 1 ? '' : 's'}: ${op.origin} ${variant.name}`,
          )
          const result = await timeVariant(device, model, op, variant, step, options)
          results.push(result)
          await options.onResult?.(result)
        }
      }
    }
  }
  return results
}

interface StepShape {
  readonly dims: DimEnv
  readonly tokens: number
  /** Tokens in the cache when the step is over. */
  readonly context: number
}

function stepOf(tokens: number, contextTokens: number): StepShape {
  const context = tokens === 1 ? Math.max(contextTokens, 1) : tokens
  return { dims: { T: tokens, S: 1, R: 1 }, tokens, context }
}

function graphOf(spec: LlmSpec, { context }: StepShape, dtype: FloatDType, maxBindingBytes: number): Graph {
  const options = {
    dtype,
    maxSeqLen: context,
    blockSize,
    numBlocks: blocksFor(context),
    maxNumSeqs: 1,
    head: 'sample',
  } as const
  return runPasses(spec.graph(options), inferencePassesFor(maxBindingBytes))
}

async function timeVariant(
  device: Device,
  model: string,
  op: IsolatedOp,
  variant: KernelVariant,
  step: StepShape,
  options: KernelBenchOptions,
): Promise<KernelResult> {
  const { roofs, runs, maxSeconds } = options
  const { kernels, verdict } = forceVariant(op.kind, variant)
  const work = workOf(op, step)
  const roofSeconds = Math.max(work.bytes / roofs.read.value, (work.flops ?? 0) / roofs.fma.value) / 1e9
  const head = {
    model,
    tokens: step.tokens,
    op: op.kind,
    origin: op.origin,
    shape: op.shape,
    variant: variant.name,
  }
  const skip = (reason: string): KernelResult => ({
    ...head,
    ...verdict(),
    micros: undefined,
    gigabytesPerSecond: undefined,
    gflops: undefined,
    roofFraction: undefined,
    skipped: reason,
  })
  try {
    const plan = makePlan(op.graph, {
      kernels,
      capabilities: device.capabilities,
      maxima: step.dims,
    })
    const { skipped } = verdict()
    if (skipped !== undefined) return skip(skipped)
    // Plain variants reach a few per cent of the roof.
    const expected = roofSeconds * op.copies * (runs + 1) * 10
    if (expected > maxSeconds) return skip(`would take about ${Math.ceil(expected)} s`)
    const seconds = await timePlan(device, plan, step, op, options)
    return {
      ...head,
      ...verdict(),
      micros: seconds * 1e6,
      gigabytesPerSecond: work.bytes / seconds / 1e9,
      gflops: work.flops === undefined ? undefined : work.flops / seconds / 1e9,
      roofFraction: roofSeconds / seconds,
    }
  } catch (error) {
    const isLimit = error instanceof RuntimeFault && ['plan/limit', 'device/memory'].includes(error.code)
    if (!isLimit) throw error
    return skip(error.message)
  }
}

/** Median seconds of one op: by timestamps, else by the clock over all copies. */
async function timePlan(
  device: Device,
  plan: Plan,
  step: StepShape,
  { graph, copies }: IsolatedOp,
  { runs, signal }: KernelBenchOptions,
): Promise<number> {
  const weights = await loadWeights(device, [plan], syntheticTensors('kernels', graph), { signal })
  try {
    const loaded = await preparePlans(device, [plan], weights, signal)
    try {
      const prepared = loaded.plans[0]!
      const inputs = writeInputs(plan, step)
      const [output] = Object.keys(plan.outputs)
      const seconds: number[] = []
      for (let run = 0; run <= runs; run++) {
        throwIfCancelled(signal, 'bench kernels')
        const begin = performance.now()
        const profiled = await device.profile?.(prepared, inputs, [output!])
        if (profiled === undefined) {
          await device.run(prepared, inputs, [output!])
          if (run > 0) seconds.push((performance.now() - begin) / 1000 / copies)
        } else if (run > 0) {
          // An op may take several dispatches.
          const perCopy = Array.from({ length: copies }, () => 0)
          plan.dispatches.forEach(({ origin }, index) => {
            perCopy[Number(origin.slice(origin.lastIndexOf('#') + 1))]! += profiled.nanoseconds[index]! / 1e9
          })
          seconds.push(...perCopy)
        }
      }
      return median(seconds)
    } finally {
      loaded.dispose()
    }
  } finally {
    for (const buffer of weights.values()) buffer.destroy()
  }
}

/** Inputs of one sequence in blocks 0, 1, …; inputs that only sampling reads stay zero, which is greedy. */
function writeInputs(plan: Plan, { dims, tokens, context }: StepShape): Step {
  const start = context - tokens
  const known: Readonly<Record<string, (index: number) => number>> = {
    positions: (i) => start + i,
    slotMapping: (i) => start + i,
    cuSeqlensQ: (i) => i * tokens,
    contextLens: () => context,
    blockTables: (i) => i,
  }
  const values = Object.fromEntries(
    plan.step.fields.map(({ name, shape }) => {
      const value = known[name] ?? (() => 0)
      return [name, Array.from({ length: numElements(shape, dims) }, (_, i) => value(i))]
    }),
  )
  return new StepWriter(plan.step, plan.maxima).write(dims, values)
}

interface Work {
  /** Read and written once each. */
  readonly bytes: number
  /** Undefined for ops that only move or map. */
  readonly flops: number | undefined
}

function workOf({ graph }: IsolatedOp, { dims, context }: StepShape): Work {
  const op = graph.ops.find(({ kind }) => kind !== 'slice')!
  return { bytes: movedBytes(graph, op, dims), flops: opFlops(graph, op, dims, context) }
}

function movedBytes(graph: Graph, op: Op, dims: DimEnv): number {
  const operands = { ...op.inputs, ...op.outputs }
  const sum = (names: readonly string[]): number =>
    names.reduce((total, name) => {
      const id = operands[name]
      if (id === undefined) return total
      const { shape, dtype } = valueOf(graph, id)
      return total + numElements(shape, dims) * bytesOf(dtype)
    }, 0)
  switch (op.kind) {
    case 'attention':
      return sum(['q', 'kCache', 'vCache', 'y'])
    case 'embedding':
    case 'gatherRows':
      return 2 * sum(['y'])
    case 'rotary':
      return 2 * sum(['x'])
    case 'kvWrite':
    case 'rotaryKvWrite':
      // The rest of the cache is left alone.
      return 2 * sum(Object.keys(op.inputs).filter((name) => !/cache|table/i.test(name)))
    default:
      return sum(Object.keys(operands))
  }
}
