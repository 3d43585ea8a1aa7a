// Prefill and decode speed of a language model on one device, with what it costs the CPU, where the GPU's time goes and how
// near the adapter's roofs that is. Measured through the public facade; kernels by a separate, profiled run.

import { createEngineFacade } from '../api/engine.ts'
import { engineOptions } from '../api/model.ts'
import type { AdapterInfo, Engine } from '../api/types.ts'
import { RuntimeFault } from '../core/errors.ts'
import type { BufferOwner, Device } from '../device/device.ts'
import { LlmEngine, type LlmEngineOptions } from '../engine/llm/llmEngine.ts'
import { blocksFor } from '../engine/load.ts'
import { fitPlans, type MemoryBudget } from '../engine/fit.ts'
import type { FloatDType } from '../graph/opDef.ts'
import { meterDevice, type Meter } from './meter.ts'
import { kernelTimes, type KernelTime } from '../engine/kernelTimes.ts'
import type { Roofs } from './roofs.ts'
import { samplesOf, type Samples } from './statistics.ts'
import type { BenchModel } from './synthetic.ts'
import { generateOnce, type TimedRun } from './timedRun.ts'
import { prefillFlops, weightBytesOf } from './work.ts'

export interface LlmBenchOptions {
  readonly promptTokens: number
  /** Tokens after the first one, which prefill gives. */
  readonly newTokens: number
  /** Sequences at once. */
  readonly batch: number
  readonly dtype: FloatDType
  readonly runs: number
  readonly warmUps: number
  /** Called around each run, since machines are shared and change; first when it is known that the model fits. */
  readonly measureRoofs?: (() => Promise<Roofs>) | undefined
  /** Bytes that the engine may take; undefined leaves it to the device to refuse. */
  readonly maxMemoryBytes: number | undefined
  /** Who sets that. Default `maxMemory`. */
  readonly limit?: MemoryBudget['limit']
  readonly signal?: AbortSignal | undefined
  /** What is being done, for a person who waits. */
  readonly onPhase?: ((phase: string) => void) | undefined
}

export interface LlmBench {
  readonly model: string
  readonly adapter: AdapterInfo
  readonly dtype: FloatDType
  readonly numLayers: number
  readonly promptTokens: number
  readonly newTokens: number
  readonly batch: number
  readonly loadSeconds: number
  /** What the first sequence got, greedily: for comparison with other runtimes on the same weights. */
  readonly tokens: readonly number[]
  readonly ttftMs: Samples
  /** Prompt tokens of all sequences over the time to their last first token. */
  readonly prefillTokensPerSecond: Samples
  /** Tokens after the last first one, over the time after it: sequences that ended by then count for nothing. */
  readonly decodeTokensPerSecond: Samples
  /** Mean in that time; fewer than `batch` where the first sequences end before the last prompt is computed. */
  readonly sequencesPerDecodeStep: number
  /** Encode and submit of one decode step. */
  readonly cpuMsPerDecodeStep: Samples
  readonly dispatchesPerDecodeStep: number
  readonly weightBytesPerStep: number
  /** 10⁹ bytes of weights a second while decoding, and what part that is of the read roof around each run. */
  readonly decodeGigabytesPerSecond: Samples
  readonly decodeRoofFraction: Samples | undefined
  /** 10⁹ operations a second in prefill, and what part that is of the multiply-add roof around each run. */
  readonly prefillGflops: Samples
  readonly prefillRoofFraction: Samples | undefined
  /** By kernel, longest first; undefined where the adapter has no timestamps. */
  readonly gpuMs:
    | { readonly prefill: readonly KernelTime[]; readonly decode: readonly KernelTime[] }
    | undefined
  readonly bytes: Readonly<Record<BufferOwner, number>>
  /** Before the first run and after each; none if they were left out. */
  readonly roofs: readonly Roofs[]
}

/** Throws engine/memory if the model does not fit the budget. The device stays its owner's; the rest is freed. */
export async function benchLlm(
  device: Device,
  model: BenchModel,
  options: LlmBenchOptions,
): Promise<LlmBench> {
  const { promptTokens, newTokens, batch, dtype, runs, warmUps, signal, onPhase } = options
  const llmOptions = engineOptionsFor(model, options)
  // Fewer blocks or tokens would make another benchmark of it.
  const budget =
    options.maxMemoryBytes === undefined
      ? undefined
      : { bytes: options.maxMemoryBytes, open: [], limit: options.limit ?? 'maxMemory' }
  const roofs: Roofs[] = []
  const measureRoofs = async (): Promise<void> => {
    if (options.measureRoofs === undefined) return
    onPhase?.('roofs')
    roofs.push(await options.measureRoofs())
  }
  const meter = meterDevice(device)
  const beginLoad = performance.now()
  const llm = await LlmEngine.load(meter.device, model.spec, model.checkpoint, {
    ...llmOptions,
    budget,
    onProgress: (loaded, total) => onPhase?.(`weights ${Math.floor((100 * loaded) / total)} %`),
  })
  const loadSeconds = (performance.now() - beginLoad) / 1000
  const engine = createEngineFacade({ model: model.name, llm, tokenizer: undefined, ownsDevice: false })
  try {
    for (let i = 0; i < warmUps; i++) {
      onPhase?.('warm-up')
      await generateOnce(engine, model, { ...options, newTokens: Math.min(newTokens, 4) })
    }
    meter.take()
    const timed: TimedRun[] = []
    await measureRoofs()
    for (let i = 0; i < runs; i++) {
      onPhase?.(`run ${i + 1} of ${runs}`)
      timed.push(await generateOnce(engine, model, options))
      await measureRoofs()
    }
    const decodeSteps = meter.take().filter(({ isPrefill }) => !isPrefill)
    const bytes = device.memory()
    const gpuMs = device.profile === undefined ? undefined : await profile(engine, model, meter, options)
    signal?.throwIfAborted()

    const prefill = samplesOf(timed.map(({ prefillMs }) => (batch * promptTokens * 1000) / prefillMs))
    const decode = samplesOf(timed.map(({ decoded, decodeMs }) => (decoded * 1000) / decodeMs))
    const plan = decodeSteps[0]?.plan
    const weightBytesPerStep = plan === undefined ? 0 : weightBytesOf(plan)
    // The sequence with the last prompt is in every step after it.
    const decodeGigabytesPerSecond = samplesOf(
      timed.map(({ decodeMs }) => (newTokens * weightBytesPerStep) / decodeMs / 1e6),
    )
    const prefillGflops = scaled(
      prefill,
      prefillFlops(llm.plans[0]!.graph, promptTokens) / promptTokens / 1e9,
    )
    return {
      model: model.name,
      adapter: device.adapter,
      dtype,
      numLayers: model.spec.config.numLayers,
      promptTokens,
      newTokens,
      batch,
      loadSeconds,
      tokens: timed[0]?.tokens ?? [],
      ttftMs: samplesOf(timed.map(({ ttftMs }) => ttftMs)),
      prefillTokensPerSecond: prefill,
      decodeTokensPerSecond: decode,
      sequencesPerDecodeStep:
        timed.reduce((sum, { decoded }) => sum + decoded, 0) / (timed.length * newTokens),
      cpuMsPerDecodeStep: samplesOf(decodeSteps.map(({ cpuMs }) => cpuMs)),
      dispatchesPerDecodeStep: plan?.dispatches.length ?? 0,
      weightBytesPerStep,
      decodeGigabytesPerSecond,
      decodeRoofFraction: fractionOf(decodeGigabytesPerSecond, roofs, 'read'),
      prefillGflops,
      prefillRoofFraction: fractionOf(prefillGflops, roofs, 'fma'),
      gpuMs,
      bytes,
      roofs,
    }
  } finally {
    await engine.dispose()
  }
}

/**
 * Most layers with which a model keeps the budget, 0 if there are none; undefined without a budget, and where a single
 * layer cannot be planned.
 */
export function layersWithin(
  { capabilities }: Device,
  modelOf: (layers: number) => BenchModel,
  options: Pick<LlmBenchOptions, 'dtype' | 'promptTokens' | 'newTokens' | 'batch' | 'maxMemoryBytes'>,
): number | undefined {
  if (options.maxMemoryBytes === undefined) return undefined
  const bytesOf = (layers: number): number => {
    const model = modelOf(layers)
    return fitPlans(model.name, model.spec, engineOptionsFor(model, options), capabilities).memory.totalBytes
  }
  try {
    const one = bytesOf(1)
    // Each layer takes as much as the one before.
    return Math.max(0, 1 + Math.floor((options.maxMemoryBytes - one) / (bytesOf(2) - one)))
  } catch (error) {
    if (error instanceof RuntimeFault) return undefined
    throw error
  }
}

function scaled({ runs }: Samples, factor: number): Samples {
  return samplesOf(runs.map((value) => value * factor))
}

/** Of each run, over the mean of the roofs before and after it. */
function fractionOf({ runs }: Samples, roofs: readonly Roofs[], kind: 'read' | 'fma'): Samples | undefined {
  if (roofs.length === 0) return undefined
  const values = roofs.map((measured) => measured[kind].value)
  return samplesOf(runs.map((value, i) => (2 * value) / (values[i]! + values[i + 1]!)))
}

/** As the library would choose, but with memory for exactly the sequences of this benchmark. */
function engineOptionsFor(
  { spec }: BenchModel,
  {
    dtype,
    promptTokens,
    newTokens,
    batch,
    signal,
  }: Pick<LlmBenchOptions, 'dtype' | 'promptTokens' | 'newTokens' | 'batch' | 'signal'>,
): LlmEngineOptions {
  const maxSeqLen = promptTokens + newTokens + 1
  return {
    ...engineOptions(spec.config, { dtype, maxSeqLen, maxNumSeqs: batch }),
    numBlocks: batch * blocksFor(maxSeqLen),
    signal,
  }
}

const profiledTokens = 8

async function profile(
  engine: Engine,
  model: BenchModel,
  meter: Meter,
  options: LlmBenchOptions,
): Promise<LlmBench['gpuMs']> {
  options.onPhase?.('profile')
  meter.isProfiling = true
  try {
    await generateOnce(engine, model, { ...options, newTokens: Math.min(options.newTokens, profiledTokens) })
  } finally {
    meter.isProfiling = false
  }
  const steps = meter.take()
  const decodeSteps = steps.filter(({ isPrefill }) => !isPrefill)
  return {
    // All steps of the prompt together, but the mean of the decode steps.
    prefill: kernelTimes(
      steps.filter(({ isPrefill }) => isPrefill),
      1,
    ),
    decode: kernelTimes(decodeSteps, decodeSteps.length),
  }
}
