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
  weights: 'loading weights',
  compile: 'compiling shaders',
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
    update({ phase, loadedBytes, totalBytes }) {
      if (isStopped || phase === 'ready') return
      const payload = {
        phase: phases[phase].padEnd(17),
        loaded: formatBytes(loadedBytes),
        all: formatBytes(totalBytes),
      }
      if (isStarted) {
        bar.setTotal(totalBytes)
        bar.update(loadedBytes, payload)
      } else {
        isStarted = true
        bar.start(totalBytes, loadedBytes, payload)
      }
    },
    stop() {
      if (isStarted && !isStopped) bar.stop()
      isStopped = true
    },
  }
}
