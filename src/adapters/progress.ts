// How far loading has come, in the shapes that pages written for web-llm and transformers.js expect.
// Not here: drawing it, and the progress itself (api/types.ts: LoadProgress).

import type { LoadProgress } from '../api/types.ts'

/** What web-llm tells its `initProgressCallback`. */
export interface InitProgressReport {
  /** 0 to 1, never falling; 1 once the model is ready. */
  progress: number
  /** Seconds since loading began. */
  timeElapsed: number
  /** For people. */
  text: string
}

/** What transformers.js tells its `progress_callback`: `progress` is 0 to 100, `loaded` and `total` are bytes. */
export type ProgressInfo =
  | { status: 'initiate' | 'download' | 'done'; name: string; file: string }
  | { status: 'progress'; name: string; file: string; progress: number; loaded: number; total: number }
  | {
      status: 'progress_total'
      name: string
      progress: number
      loaded: number
      total: number
      files: Record<string, { loaded: number; total: number }>
    }
  | { status: 'ready'; task: string; model: string }

/** What the events say that a load does not know. */
export interface TransformersProgressOptions {
  /** The model's id, which events carry as `name` and `model`. */
  name: string
  /** The file that all bytes are counted under. Default model.safetensors. */
  file?: string
  /** Default text-generation. */
  task?: string
}

/** An `onProgress` for createEngine that calls a callback written for web-llm. Its clock starts now. */
export function webLlmProgress(
  initProgressCallback: (report: InitProgressReport) => void,
): (progress: LoadProgress) => void {
  const startedAt = performance.now()
  let furthest = 0
  return (progress) => {
    furthest = Math.max(furthest, shareOf(progress))
    const timeElapsed = Math.round((performance.now() - startedAt) / 1000)
    initProgressCallback({ progress: furthest, timeElapsed, text: textOf(progress) })
  }
}

/**
 * An `onProgress` for createEngine that calls a callback written for transformers.js, with one file that stands for
 * all: `initiate`, `download`, `progress` and `progress_total` while its bytes come, `done`, and `ready` at last.
 */
export function transformersProgress(
  progressCallback: (info: ProgressInfo) => void,
  { name, file = 'model.safetensors', task = 'text-generation' }: TransformersProgressOptions,
): (progress: LoadProgress) => void {
  let isBegun = false
  let isDone = false
  let loaded = 0

  const begin = (): void => {
    if (isBegun) return
    isBegun = true
    progressCallback({ status: 'initiate', name, file })
    progressCallback({ status: 'download', name, file })
  }
  const advance = (loadedBytes: number, total: number): void => {
    // An upload may follow the download of the same bytes.
    if (loadedBytes < loaded) return
    loaded = loadedBytes
    const progress = percent(loaded, total)
    progressCallback({ status: 'progress', name, file, progress, loaded, total })
    const files = { [file]: { loaded, total } }
    progressCallback({ status: 'progress_total', name, progress, loaded, total, files })
  }
  const finish = (): void => {
    if (!isDone) progressCallback({ status: 'done', name, file })
    isDone = true
  }

  return (progress) => {
    begin()
    switch (progress.phase) {
      case 'download':
      case 'upload':
        return advance(progress.loadedBytes, progress.totalBytes)
      case 'verify':
        return
      case 'compile':
      case 'warm-up':
        return finish()
      case 'ready':
        finish()
        return progressCallback({ status: 'ready', task, model: name })
      default:
        progress satisfies never
    }
  }
}

/** How much of a load is behind, 0 to 1: most of it is bytes. */
function shareOf(progress: LoadProgress): number {
  switch (progress.phase) {
    case 'download':
    case 'upload':
      return 0.009 * percent(progress.loadedBytes, progress.totalBytes)
    case 'verify':
      return 0
    case 'compile':
      return 0.9 + 0.0005 * percent(progress.done, progress.total)
    case 'warm-up':
      return 0.95 + 0.0004 * percent(progress.done, progress.total)
    case 'ready':
      return 1
    default:
      return progress satisfies never
  }
}

function textOf(progress: LoadProgress): string {
  switch (progress.phase) {
    case 'download':
      return `${isCached(progress) ? 'Reading the cache' : 'Downloading'}: ${megabytes(progress)}`
    case 'verify':
      return `Verifying: ${megabytes(progress)}`
    case 'upload':
      return `Loading weights: ${megabytes(progress)}`
    case 'compile':
      return `Compiling shaders: ${progress.done} of ${progress.total}`
    case 'warm-up':
      return `Warming up: ${progress.done} of ${progress.total}`
    case 'ready':
      return 'Ready'
    default:
      return progress satisfies never
  }
}

function isCached({ loadedBytes, cachedBytes }: Extract<LoadProgress, { phase: 'download' }>): boolean {
  return loadedBytes > 0 && cachedBytes === loadedBytes
}

function megabytes({ loadedBytes, totalBytes }: { loadedBytes: number; totalBytes: number }): string {
  return `${(loadedBytes / 1e6).toFixed(1)} of ${(totalBytes / 1e6).toFixed(1)} MB`
}

const percent = (done: number, total: number): number => (total > 0 ? (100 * done) / total : 100)
