// What every step shares: running a command with its output held back, one progress line, and the error form.
import { spawnSync } from 'node:child_process'

/** How much of a failed command's output is shown at each end. */
const SHOWN_LINES = 20

/** An expected failure: its message is all that the user sees. */
export class SetupError extends Error {}

/** The project's error form: `[code] where: expected X, got Y. Do Z.` */
export function complaint(code, where, expected, got, advice) {
  return `[${code}] ${where}: expected ${expected}, got ${got}. ${advice}`
}

export function fail(code, where, expected, got, advice) {
  throw new SetupError(complaint(code, where, expected, got, advice))
}

/** Progress goes to stderr: stdout belongs to the command that follows the set-up. */
export function say(line) {
  process.stderr.write(`setup: ${line}\n`)
}

/**
 * Runs a command to its end and keeps what it printed.
 * `code` is null when it could not start, was killed or ran past `timeout`; `reason` then says which.
 * @param {string} command
 * @param {string[]} args
 * @param {{ cwd?: string, env?: Record<string, string | undefined>, timeout?: number, shell?: boolean }} [options]
 */
export function run(command, args, options = {}) {
  const result = spawnSync(command, args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    encoding: 'utf8',
    maxBuffer: 256 * 1024 * 1024,
    ...options,
  })
  const stdout = result.stdout || ''
  const output = [stdout, result.stderr || ''].filter(Boolean).join('\n').trim()
  const reason = result.error
    ? result.error.message
    : result.signal
      ? `signal ${result.signal}`
      : `exit code ${result.status}`
  return { ok: result.status === 0, code: result.status, stdout, output, reason }
}

/** Output held back until now, indented below an error; its start and end where it is long. */
export function shown(output) {
  if (!output) return ''
  const lines = output.split('\n')
  const left = lines.length - 2 * SHOWN_LINES
  if (left > 0) lines.splice(SHOWN_LINES, left, `… ${left} lines left out …`)
  return `\n${lines.map((line) => `  ${line}`).join('\n')}`
}
