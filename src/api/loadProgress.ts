// Reports of a load as a page can show them: in the order of the phases, not too often, and none after the last.
// What the phases are: LoadProgress in types.ts.

import type { LoadProgress } from './types.ts'

/** Reports of one phase in between are left out. */
const pauseMs = 50

/**
 * Passes reports on. Weights are uploaded while they are downloaded: as long as that goes on, uploads are not told of.
 * `now` is in milliseconds.
 */
export function orderedProgress(
  onProgress: (progress: LoadProgress) => void,
  now: () => number = () => performance.now(),
): (progress: LoadProgress) => void {
  let last: LoadProgress | undefined
  let lastAt = -Infinity
  /** Left out since. */
  let pending: LoadProgress | undefined
  let isDownloading = false

  const pass = (progress: LoadProgress): void => {
    last = progress
    lastAt = now()
    pending = undefined
    onProgress(progress)
  }

  return (progress) => {
    if (last?.phase === 'ready') return
    if (progress.phase === 'download') isDownloading = !isComplete(progress)
    if (progress.phase === 'upload' && isDownloading) return
    const isSame = progress.phase === (pending ?? last)?.phase
    if (isSame && !isComplete(progress) && now() - lastAt < pauseMs) {
      pending = progress
      return
    }
    if (!isSame && pending !== undefined) pass(pending)
    pass(progress)
  }
}

function isComplete(progress: LoadProgress): boolean {
  switch (progress.phase) {
    case 'download':
    case 'verify':
    case 'upload':
      return progress.loadedBytes >= progress.totalBytes
    case 'compile':
    case 'warm-up':
      return progress.done >= progress.total
    case 'ready':
      return true
    default:
      return progress satisfies never
  }
}
