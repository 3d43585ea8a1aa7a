// How a load gets on: bytes, speed and time left, from what the engine reports; and how the page writes such figures.

export interface LoadReport {
  readonly phase: 'download' | 'verify' | 'upload' | 'compile' | 'warm-up' | 'ready'
  /** Bytes, or steps in the phases that have none. */
  readonly done: number
  readonly total: number
  /** Of what was downloaded, what this browser had kept. */
  readonly cachedBytes?: number
}

export interface LoadFigures extends LoadReport {
  /** 0 to 1; undefined while the total is not known. */
  readonly share: number | undefined
  /** Undefined until there is something to measure. */
  readonly bytesPerSecond: number | undefined
  readonly secondsLeft: number | undefined
}

const countsBytes = ({ phase }: LoadReport): boolean => ['download', 'verify', 'upload'].includes(phase)

/** Speed is that of the last seconds: an average over all of a load hides that it has stalled. */
const windowMs = 4000
const leastMs = 250

/** Collects the reports of one load. Times are milliseconds of any clock. */
export class LoadMeter {
  #samples: { readonly atMs: number; readonly bytes: number }[] = []
  #phase = ''

  add(report: LoadReport, atMs: number): LoadFigures {
    const { phase, done, total } = report
    // Each phase has its own speed, and some count the same bytes again.
    if (phase !== this.#phase) this.#samples = []
    this.#phase = phase
    this.#samples.push({ atMs, bytes: done })
    const first = this.#samples.findIndex((sample) => sample.atMs >= atMs - windowMs)
    // One from before the window, so that the window is always full.
    this.#samples.splice(0, Math.max(0, first - 1))
    const bytesPerSecond = countsBytes(report) ? this.#speed() : undefined
    const left = total - done
    return {
      ...report,
      share: total > 0 ? Math.min(1, done / total) : undefined,
      bytesPerSecond,
      secondsLeft: bytesPerSecond === undefined || left <= 0 ? undefined : left / bytesPerSecond,
    }
  }

  #speed(): number | undefined {
    const [first] = this.#samples
    const last = this.#samples.at(-1)
    if (first === undefined || last === undefined || last.atMs - first.atMs < leastMs) return undefined
    const speed = ((last.bytes - first.bytes) * 1000) / (last.atMs - first.atMs)
    return speed > 0 ? speed : undefined
  }
}

const phaseNames: Readonly<Record<LoadReport['phase'], string>> = {
  download: 'Downloading',
  verify: 'Checking',
  upload: 'Loading weights',
  compile: 'Compiling shaders',
  'warm-up': 'Warming up',
  ready: 'Ready',
}

function phaseName({ phase, done, cachedBytes = 0 }: LoadReport): string {
  return phase === 'download' && done > 0 && cachedBytes === done
    ? 'Reading what was kept'
    : phaseNames[phase]
}

/** A line such as `Downloading · 1.2 MB of 3.6 MB · 5.1 MB/s · 1 s left`. */
export function progressLine(figures: LoadFigures): string {
  const { done, total, bytesPerSecond, secondsLeft } = figures
  const parts = [phaseName(figures)]
  if (countsBytes(figures) && done < total) {
    parts.push(`${formatBytes(done, total)} of ${formatBytes(total)}`)
    if (bytesPerSecond !== undefined) parts.push(`${formatBytes(bytesPerSecond)}/s`)
    if (secondsLeft !== undefined) parts.push(`${formatSeconds(secondsLeft)} left`)
  }
  return parts.join(' · ')
}

const units = ['B', 'kB', 'MB', 'GB', 'TB']

/** Decimal units, as download sizes are told; with `beside`, in the unit of that size. */
export function formatBytes(bytes: number, beside: number = bytes): string {
  const power = Math.min(units.length - 1, Math.max(0, Math.floor(Math.log10(Math.max(1, beside)) / 3)))
  const value = bytes / 1000 ** power
  return `${power === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${units[power]}`
}

export function formatSeconds(seconds: number): string {
  const whole = Math.max(1, Math.ceil(seconds))
  if (whole < 60) return `${whole} s`
  const minutes = Math.ceil(whole / 60)
  return minutes < 60 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`
}

export function formatMs(ms: number): string {
  return ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`
}
