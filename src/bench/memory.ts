// Whether a model fits, before anything is allocated: weights + KV cache + arena against a budget.

import { RuntimeFault } from '../core/errors.ts'
import type { LlmEngineOptions } from '../engine/llm/llmEngine.ts'
import { planLlama, planMemory, stepClasses, type MemoryPlan } from '../engine/load.ts'
import type { LlamaConfig } from '../models/llama/config.ts'
import type { Capabilities } from '../plan/types.ts'

/** Bytes that the engine will take with these options, whatever the adapter's limits on single buffers. */
export function engineMemory(
  config: LlamaConfig,
  options: LlmEngineOptions,
  capabilities: Capabilities,
): MemoryPlan {
  const unlimited = {
    ...capabilities,
    maxBindingBytes: Number.MAX_SAFE_INTEGER,
    maxBufferBytes: Number.MAX_SAFE_INTEGER,
  }
  return planMemory(planLlama(config, { ...options, head: 'sample' }, stepClasses(options), unlimited))
}

/** Throws engine/memory, with the sum written out, unless it fits. */
export function checkBudget(model: string, memory: MemoryPlan, budgetBytes: number): void {
  if (memory.totalBytes <= budgetBytes) return
  const { weightBytes, stateBytes, arenaBytes, stepBytes, totalBytes } = memory
  throw new RuntimeFault('engine/memory', {
    where: model,
    expected: `at most ${gib(budgetBytes)}`,
    got: `${gib(weightBytes)} of weights + ${gib(stateBytes)} of KV cache + ${gib(arenaBytes + stepBytes)} of arena = ${gib(totalBytes)}`,
    fix: 'Use fewer layers, tokens or sequences, a smaller dtype, or raise --max-memory.',
  })
}

function gib(bytes: number): string {
  return `${(bytes / 2 ** 30).toFixed(2)} GiB`
}
