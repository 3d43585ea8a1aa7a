// The bar that shows a model loading, on a terminal's stderr only.

import { SingleBar } from 'cli-progress'
import type { LoadProgress } from '../api/types.ts'
import type { OutputStream } from './deps.ts'
import { formatBytes } from './terminal.ts'

export interface LoadBar {
  update(progress: LoadProgress): void
  /** Takes the bar off the screen. Idempotent. */
  stop(): void
}

const phases: Record<LoadProgress['phase'], string> = {
  download: 'downloading',
  verify: 'verifying',
  upload: 'loading weights',
  compile: 'compiling shaders',
  'warm-up': 'warming up',
  ready: 'ready',
}

export function loadBar(stderr: OutputStream): LoadBar {
  if (stderr.isTTY !== true) return { update() {}, stop() {} }
  const bar = new SingleBar({
    stream: stderr,
    format: '{phase} {bar} {loaded} of {all}',
    barCompleteChar: '█',
    barIncompleteChar: '░',
    barsize: 24,
    hideCursor: true,
    clearOnComplete: true,
    emptyOnZero: true,
    // Ctrl-C is the program's to handle.
    gracefulExit: false,
  })
  let isStarted = false
  let isStopped = false
  return {
    update(progress) {
      if (isStopped || progress.phase === 'ready') return
      const isBytes = 'loadedBytes' in progress
      const [done, total] = isBytes
        ? [progress.loadedBytes, progress.totalBytes]
        : [progress.done, progress.total]
      const isCached =
        progress.phase === 'download' &&
        progress.loadedBytes > 0 &&
        progress.cachedBytes === progress.loadedBytes
      const payload = {
        phase: (isCached ? 'reading the cache' : phases[progress.phase]).padEnd(17),
        loaded: isBytes ? formatBytes(done) : String(done),
        all: isBytes ? formatBytes(total) : `${total} plans`,
      }
      if (isStarted) {
        bar.setTotal(total)
        bar.update(done, payload)
      } else {
        isStarted = true
        bar.start(total, done, payload)
      }
    },
    stop() {
      if (isStarted && !isStopped) bar.stop()
      isStopped = true
    },
  }
}
