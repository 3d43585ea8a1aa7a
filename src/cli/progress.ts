// The bar that shows a model loading, on a terminal's stderr only.

import { SingleBar } from 'cli-progress'
import type { LoadProgress } from '../api/types.ts'
import { formatBytes } from '../core/units.ts'
import type { OutputStream } from './deps.ts'

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
    format: (_options, { progress }, line: Line) => lineOf(line, progress, stderr.columns ?? 80),
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
      const all = isBytes ? formatBytes(total) : String(total)
      const unit = progress.phase === 'warm-up' ? ' steps' : ''
      const payload: Line = {
        phase: isCached ? 'reading the cache' : phases[progress.phase],
        count: `${isBytes ? formatBytes(done) : done} of ${all}${unit}`,
        countColumns: (isBytes ? bytesColumns : all.length) + ` of ${all}${unit}`.length,
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

interface Line {
  readonly phase: string
  readonly count: string
  /** Of the longest count that may come, so that the bar does not come and go. */
  readonly countColumns: number
}

const phaseColumns = Math.max(...Object.values(phases).map(({ length }) => length))
/** `1000 MiB`. */
const bytesColumns = 8
const mostBarColumns = 24
const leastBarColumns = 4

/** Never as wide as the terminal: a line that wraps could not be taken back. */
function lineOf({ phase, count, countColumns }: Line, share: number, columns: number): string {
  const room = columns - 1 - phaseColumns - countColumns - 2
  if (room < leastBarColumns) return `${phase} ${count}`.slice(0, columns - 1)
  const width = Math.min(room, mostBarColumns)
  const done = Math.round(share * width)
  return `${phase.padEnd(phaseColumns)} ${'█'.repeat(done)}${'░'.repeat(width - done)} ${count}`
}
