// The device of one benchmark, always disposed, and the line on a terminal that says what is being done.

import { untilCancelled } from '../core/untilCancelled.ts'
import type { BenchDevice, CommandContext } from './deps.ts'
import { write } from './terminal.ts'

/** Shows what is being done, in place of what was; nothing for ''. On a terminal only. */
export type OnPhase = (phase: string) => void

/**
 * Disposes the device in the end. Throws engine/cancelled as soon as the signal fires: what was submitted may go on for
 * seconds and cannot be taken back, so that work is left to end, or to end with the process.
 */
export async function withBenchDevice<T>(
  adapter: string | undefined,
  { openBenchDevice, stderr, signal }: CommandContext,
  body: (opened: BenchDevice, onPhase: OnPhase) => Promise<T>,
): Promise<T> {
  const opened = await openBenchDevice(adapter)
  let shown = ''
  const onPhase = (phase: string): void => {
    if (stderr.isTTY !== true || phase === shown || (signal.aborted && phase !== '')) return
    shown = phase
    // A line that wraps could not be taken back.
    void write(stderr, `\r\u001b[K${phase.slice(0, (stderr.columns ?? 80) - 1)}`)
  }
  const work = body(opened, onPhase).finally(() => opened.device.dispose())
  try {
    return await untilCancelled(work, 'bench', signal)
  } finally {
    onPhase('')
  }
}
