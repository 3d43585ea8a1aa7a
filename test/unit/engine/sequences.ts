// Sequences for scheduler tests, and the part of the engine's loop that moves them along without a device.

import type { ScheduledChunk } from '../../../src/engine/llm/scheduler.ts'
import { Sequence, type SequenceParams } from '../../../src/engine/llm/sequence.ts'

/** A sequence whose prompt is 1, 2, 3, …; 0 is not in it. */
export function sequenceOf(
  numPromptTokens: number,
  maxNewTokens = 100,
  params: Partial<SequenceParams> = {},
): Sequence {
  return new Sequence({
    promptTokens: Array.from({ length: numPromptTokens }, (_, i) => i + 1),
    maxNewTokens,
    stopTokenIds: new Set(),
    sampling: { temperature: 0, seed: [0, 0] },
    ...params,
  })
}

/** What the engine does when it submits a step. */
export function submit(chunks: readonly ScheduledChunk[]): Sequence[] {
  const sampling = chunks.filter(({ samples }) => samples).map(({ sequence }) => sequence)
  for (const sequence of sampling) sequence.numPending++
  return sampling
}

/** What the engine does when a step's tokens have been read back. */
export function commit(sequences: readonly Sequence[], token = 7): void {
  for (const sequence of sequences) {
    sequence.numPending--
    if (sequence.status !== 'finished') sequence.tokens.push(token)
  }
}

/** One step that is read back at once. */
export function step(chunks: readonly ScheduledChunk[]): void {
  commit(submit(chunks))
}
