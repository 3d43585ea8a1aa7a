// This program in another process, whose end is waited for whatever it is.

import { execFile } from 'node:child_process'
import type { ChildResult, Environment } from './deps.ts'

/** `script` is the path of the command line's entry. */
export function runChild(
  script: string,
  args: readonly string[],
  env: Environment,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<ChildResult> {
  return new Promise((resolve) => {
    const child = execFile(
      process.execPath,
      [...process.execArgv, script, ...args],
      {
        env: { ...process.env, ...env },
        timeout: timeoutMs,
        killSignal: 'SIGKILL',
        signal,
        maxBuffer: 2 ** 24,
      },
      (error, stdout, stderr) =>
        resolve({
          exitCode: child.exitCode ?? undefined,
          exitSignal: child.signalCode ?? undefined,
          isTimedOut: error?.killed === true && !signal.aborted,
          stdout,
          stderr,
        }),
    )
  })
}
