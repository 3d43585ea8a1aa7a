// One engine for all sessions of the Prompt API: loaded when it is first wanted, its progress told to all who wait.

import type { Engine, LoadProgress } from '../api/types.ts'
import { toDomException } from './promptErrors.ts'

/** `downloadable` and `downloading` mean that `create()` has to wait for the model. */
export type Availability = 'unavailable' | 'downloadable' | 'downloading' | 'available'

/** An engine, or how to load one: called at the first `create()`, and again after it has failed. */
export type EngineSource = Engine | ((onProgress: (progress: LoadProgress) => void) => Promise<Engine>)

export interface SharedEngine {
  availability(): Availability
  /** Rejects with OperationError. Tells the share that has been loaded, 0 to 1. */
  load(report: (share: number) => void): Promise<Engine>
}

export function shareEngine(source: EngineSource): SharedEngine {
  const reports = new Set<(share: number) => void>()
  let availability: Availability = typeof source === 'function' ? 'downloadable' : 'available'
  let loading: Promise<Engine> | undefined

  const onProgress = (progress: LoadProgress): void => {
    if (progress.phase !== 'download' && progress.phase !== 'upload') return
    // The end is told when the engine is there.
    const share = progress.totalBytes > 0 ? Math.min(0.99, progress.loadedBytes / progress.totalBytes) : 0
    for (const report of reports) report(share)
  }
  const start = async (load: Exclude<EngineSource, Engine>): Promise<Engine> => {
    availability = 'downloading'
    try {
      const engine = await load(onProgress)
      availability = 'available'
      return engine
    } catch (error) {
      availability = 'downloadable'
      loading = undefined
      throw toDomException(error, 'OperationError')
    }
  }

  return {
    availability: () => availability,
    async load(report) {
      reports.add(report)
      try {
        const engine = await (typeof source === 'function' ? (loading ??= start(source)) : source)
        report(1)
        return engine
      } finally {
        reports.delete(report)
      }
    },
  }
}

/** Fires `downloadprogress` with `loaded` from 0 to 1: both are always seen, and it never falls. */
export class CreateMonitor extends EventTarget {
  /** As a listener that was added. */
  ondownloadprogress: ((event: DownloadProgressEvent) => void) | null = null
}

/** A ProgressEvent, also where there are none, or none with fractions. */
export class DownloadProgressEvent extends Event {
  /** The end is known. */
  readonly lengthComputable = true
  /** The whole of the model. */
  readonly total = 1
  /** 0 to 1. */
  readonly loaded: number

  constructor(loaded: number) {
    super('downloadprogress')
    this.loaded = loaded
  }
}

/** Fires 0 at once. What it returns fires the rest, until the signal fires. */
export function startMonitor(
  callback: (monitor: CreateMonitor) => void,
  signal: AbortSignal | undefined,
): (share: number) => void {
  const monitor = new CreateMonitor()
  callback(monitor)
  let furthest = -1
  const report = (share: number): void => {
    if (share <= furthest || signal?.aborted === true) return
    furthest = share
    const event = new DownloadProgressEvent(share)
    monitor.ondownloadprogress?.(event)
    monitor.dispatchEvent(event)
  }
  report(0)
  return report
}
