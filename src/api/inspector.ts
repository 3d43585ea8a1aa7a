// The engine from inside: what was compiled, who holds the KV cache, where GPU time goes. Plain data, made when it is
// asked for. Next: engine/inspection.ts, engine/llm/cacheState.ts, engine/kernelTimes.ts.

import { RuntimeFault, invariant } from '../core/errors.ts'
import { inspectPlans, type ModelInspection } from '../engine/inspection.ts'
import { kernelTimes, type KernelTime } from '../engine/kernelTimes.ts'
import type { CacheState } from '../engine/llm/cacheState.ts'
import type { LlmEngine } from '../engine/llm/llmEngine.ts'
import type { TimedEngineStep } from '../engine/llm/modelRunner.ts'
import { plainParams } from '../engine/llm/sequence.ts'
import { checkCount } from './options.ts'

/** What to time. */
export interface ProfileOptions {
  /** Tokens of the prompt. Default 32, or what the context leaves. */
  promptTokens?: number
  /** Steps of one token each. Default 8. */
  newTokens?: number
  /** Ends it with an AbortError. */
  signal?: AbortSignal
}

/** Time on the GPU of the steps of one kind and size; sums are means of a step. */
export interface StepProfile {
  /** `decode` is one token a sequence. */
  readonly kind: 'prefill' | 'decode'
  /** Index of the plan that ran. */
  readonly plan: number
  /** Steps that were timed. */
  readonly steps: number
  /** Tokens in the largest of them. */
  readonly tokens: number
  /** Milliseconds of a step: those of its dispatches, without what lies between them. */
  readonly ms: number
  /** Milliseconds by dispatch of the plan. */
  readonly dispatchMs: readonly number[]
  /** By kernel, longest first. */
  readonly kernels: readonly KernelTime[]
}

/** Looks into an engine. Costs nothing while nobody asks. Everything throws engine/disposed after dispose(). */
export interface EngineInspector {
  /** Graph, plans, shaders and buffers. */
  model(): Promise<ModelInspection>
  /** Who holds which blocks of the KV cache now. Cheap enough to ask ten times a second. */
  kvCache(): Promise<CacheState>
  /**
   * Runs a short request and times its dispatches one by one, which slows them; steps are shared with requests that run
   * meanwhile. Browsers round such times, to 0.1 ms unless told otherwise. Throws device/feature where the device has no
   * `timestamp-query`.
   */
  profile(options?: ProfileOptions): Promise<StepProfile[]>
}

export function createInspector(llm: LlmEngine): EngineInspector {
  return {
    async model() {
      const [first, ...rest] = llm.plans
      invariant(first !== undefined, 'an engine has a plan')
      return inspectPlans([first, ...rest])
    },
    async kvCache() {
      llm.checkLive()
      return llm.cacheState()
    },
    profile: (options = {}) => profile(llm, options),
  }
}

async function profile(
  llm: LlmEngine,
  { promptTokens, newTokens = 8, signal }: ProfileOptions,
): Promise<StepProfile[]> {
  llm.checkLive()
  const { device, options, config } = llm
  if (device.profile === undefined) throw noTimestamps(device.adapter.description)
  const maxNewTokens = checkCount('newTokens', newTokens, options.maxSeqLen - 1)
  const room = options.maxSeqLen - maxNewTokens
  const length = checkCount('promptTokens', promptTokens ?? Math.min(32, room), room)
  const steps: TimedEngineStep[] = []
  const prompt = Array.from({ length }, (_, index) => (index * 7919) % config.vocabSize)
  // What a driver puts off until a kernel first runs is nobody's time.
  for await (const _ of llm.generate(plainParams(prompt, 1), signal));
  await llm.timeSteps(
    (step) => steps.push(step),
    async () => {
      // Prefill gives the first one.
      for await (const _ of llm.generate(plainParams(prompt, maxNewTokens + 1), signal));
    },
  )
  // Others than before, where the device was lost on the way.
  return llm.plans.flatMap((plan, index) =>
    (['prefill', 'decode'] as const).flatMap((kind) => {
      const own = steps.filter((step) => step.plan === plan && step.isPrefill === (kind === 'prefill'))
      return own.length === 0 ? [] : [stepProfile(kind, index, own)]
    }),
  )
}

function stepProfile(
  kind: StepProfile['kind'],
  plan: number,
  steps: readonly TimedEngineStep[],
): StepProfile {
  const dispatchMs = Array.from({ length: steps[0]!.plan.dispatches.length }, (_, index) => {
    const nanoseconds = steps.reduce((sum, step) => sum + (step.nanoseconds?.[index] ?? 0), 0)
    return nanoseconds / 1e6 / steps.length
  })
  return {
    kind,
    plan,
    steps: steps.length,
    tokens: Math.max(...steps.map(({ dims }) => dims.T)),
    ms: dispatchMs.reduce((sum, ms) => sum + ms, 0),
    dispatchMs,
    kernels: kernelTimes(steps, steps.length),
  }
}

function noTimestamps(where: string): RuntimeFault {
  return new RuntimeFault('device/feature', {
    where,
    expected: 'a device with timestamp-query',
    got: 'one without',
    fix: 'Use an adapter that can time its work; requests run without it as well.',
  })
}
