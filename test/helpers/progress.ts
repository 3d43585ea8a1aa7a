// What every load's reports must be like.

import { expect } from 'vitest'
import type { LoadProgress } from '../../src/api/types.ts'

/** Phases in order, each as often as it began. */
export function phaseRuns(seen: readonly LoadProgress[]): LoadProgress['phase'][] {
  return seen.map(({ phase }) => phase).filter((phase, i, all) => phase !== all[i - 1])
}

/** Within a phase no number falls, and none passes its total. */
export function expectRising(seen: readonly LoadProgress[]): void {
  const last = new Map<string, number>()
  for (const progress of seen) {
    if (progress.phase === 'ready') continue
    const [done, total] =
      'loadedBytes' in progress
        ? [progress.loadedBytes, progress.totalBytes]
        : [progress.done, progress.total]
    expect(done).toBeLessThanOrEqual(total)
    expect(done / total).toBeGreaterThanOrEqual(last.get(progress.phase) ?? 0)
    last.set(progress.phase, done / total)
    if (progress.phase === 'download') expect(progress.cachedBytes).toBeLessThanOrEqual(done)
  }
}
