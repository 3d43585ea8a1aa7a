// Text on its way to a stream: colours, tables, counts, and writing that survives a closed pipe.
// Not here: progress bars (progress.ts), bytes (core/units.ts), and what anything says.

import { shortNumber } from '../core/units.ts'
import type { Environment, OutputStream } from './deps.ts'

export type Paint = (text: string) => string

export interface Colours {
  readonly bold: Paint
  readonly dim: Paint
  readonly red: Paint
  readonly green: Paint
  readonly yellow: Paint
}

/** Escape sequences on a terminal, unless NO_COLOR is set; plain text elsewhere. */
export function coloursFor(stream: OutputStream, env: Environment): Colours {
  const isColoured = stream.isTTY === true && !env['NO_COLOR'] && env['TERM'] !== 'dumb'
  const paint =
    (open: number, close: number): Paint =>
    (text) =>
      isColoured && text !== '' ? `\u001b[${open}m${text}\u001b[${close}m` : text
  return {
    bold: paint(1, 22),
    dim: paint(2, 22),
    red: paint(31, 39),
    green: paint(32, 39),
    yellow: paint(33, 39),
  }
}

/** Resolves when the text has left the process, or never can: a closed pipe is the program's concern, not a command's. */
export function write(stream: OutputStream, text: string): Promise<void> {
  return new Promise((resolve) => {
    stream.write(text, () => resolve())
  })
}

export function writeLine(stream: OutputStream, text = ''): Promise<void> {
  return write(stream, `${text}\n`)
}

/** One JSON document and nothing else. */
export function writeJson(stream: OutputStream, value: unknown): Promise<void> {
  return writeLine(stream, JSON.stringify(value, undefined, 2))
}

/** A model's text as a terminal may show it: without the control characters that would drive it. */
export function printable(stream: OutputStream, text: string): string {
  // eslint-disable-next-line no-control-regex
  return stream.isTTY === true ? text.replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g, '') : text
}

/** Rows of cells with columns aligned; `right` lists the columns that hold numbers. */
export function table(rows: readonly (readonly string[])[], right: readonly number[] = []): string[] {
  const widths: number[] = []
  for (const row of rows) {
    for (const [column, cell] of row.entries()) widths[column] = Math.max(widths[column] ?? 0, visible(cell))
  }
  return rows.map((row) =>
    row
      .map((cell, column) => {
        const gap = ' '.repeat(widths[column]! - visible(cell))
        return right.includes(column) ? gap + cell : cell + gap
      })
      .join('  ')
      .trimEnd(),
  )
}

/** Parts behind a title, separated by commas, in as many lines as the width asks for. */
export function list(title: string, parts: readonly string[], columns: number): string[] {
  const lines = [title]
  parts.forEach((part, index) => {
    const text = index === parts.length - 1 ? part : `${part},`
    const line = `${lines.at(-1)!} ${text}`
    if (index === 0 || visible(line) <= columns) lines[lines.length - 1] = line
    else lines.push(`${' '.repeat(visible(title))} ${text}`)
  })
  return lines
}

/**
 * A table; where a row is wider than `columns`, its last cell is below it, and where that is not enough, all but its first
 * are.
 */
export function tableWithNotes(
  rows: readonly (readonly string[])[],
  right: readonly number[],
  columns: number,
): string[] {
  const fits = (line: string): boolean => visible(line) <= columns
  const whole = table(rows, right)
  if (whole.every(fits)) return whole
  const withoutNotes = rows.map((row) => row.slice(0, -1))
  const bare = table(withoutNotes, right)
  const isNarrow = !bare.every(fits)
  const values = table(
    withoutNotes.map((row) => row.slice(1)),
    right.map((column) => column - 1),
  )
  return rows.flatMap((row, index) => {
    if (!isNarrow && fits(whole[index]!)) return [whole[index]!]
    const note = wrap(row.at(-1)!, columns, '  ')
    if (!isNarrow) return [bare[index]!, ...note]
    const below = values[index]!
    return [...wrap(row[0]!, columns), ...(below === '' ? [] : [`  ${below}`]), ...note]
  })
}

/** Lines of at most `columns` where words allow it, the first after `lead`, the others below its end; none for ''. */
export function wrap(text: string, columns: number, lead = ''): string[] {
  if (text === '') return []
  const lines: string[] = []
  let line = lead
  let isEmpty = true
  for (const word of text.split(' ')) {
    const longer = isEmpty ? line + word : `${line} ${word}`
    if (isEmpty || visible(longer) <= columns) line = longer
    else {
      lines.push(line.trimEnd())
      line = ' '.repeat(visible(lead)) + word
    }
    isEmpty = false
  }
  return [...lines, line]
}

/** Columns that a text takes, colours not counted. */
export function visible(text: string): number {
  // eslint-disable-next-line no-control-regex
  return text.replace(/\u001b\[\d+m/g, '').length
}

/** `2412345` → `2.41 M`. */
export function formatCount(count: number): string {
  if (count < 1000) return String(count)
  if (count < 999_500) return `${shortNumber(count / 1e3)} k`
  if (count < 999_500_000) return `${shortNumber(count / 1e6)} M`
  return `${shortNumber(count / 1e9)} G`
}

/** `84 tokens, 35.2 tok/s`. */
export function formatSpeed(numTokens: number, tokensPerSecond: number | undefined): string {
  const count = `${numTokens} ${numTokens === 1 ? 'token' : 'tokens'}`
  return tokensPerSecond === undefined ? count : `${count}, ${tokensPerSecond.toFixed(1)} tok/s`
}
