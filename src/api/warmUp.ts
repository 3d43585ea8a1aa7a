// One small request for each step class: what a driver puts off until a shader first runs is done before users wait.

import type { LlmEngine } from '../engine/llm/llmEngine.ts'
import { plainParams } from '../engine/llm/sequence.ts'
import { stepClasses } from '../engine/load.ts'

/** `onStep` is told how many of the step classes have run. Leaves nothing behind but blocks that are free again. */
export async function warmUp(
  llm: LlmEngine,
  signal: AbortSignal | undefined,
  onStep: (done: number, total: number) => void,
): Promise<void> {
  const sizes = stepClasses(llm.options).map(({ T }) => T ?? 1)
  onStep(0, sizes.length)
  for (const [index] of sizes.entries()) {
    // The shortest prompt that the smaller classes do not take.
    const numTokens = Math.min((sizes[index - 1] ?? 0) + 1, llm.options.maxSeqLen)
    const prompt = Array.from({ length: numTokens }, () => 0)
    for await (const _ of llm.generate(plainParams(prompt, 1), signal));
    onStep(index + 1, sizes.length)
  }
}
