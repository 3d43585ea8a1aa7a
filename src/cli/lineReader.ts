// Lines that a person types, with editing and history. While `isQuiet`, what is typed is kept but not echoed, so that
// it does not run into an answer that is being printed.

import { createInterface, type Interface } from 'node:readline'
import { Writable } from 'node:stream'
import type { InputStream, OutputStream } from './deps.ts'

/** Passes writes on unless quiet. */
class Echo extends Writable {
  isQuiet = false
  readonly #target: OutputStream

  constructor(target: OutputStream) {
    super({ decodeStrings: false })
    this.#target = target
    target.on('resize', () => this.emit('resize'))
  }

  get columns(): number | undefined {
    return this.#target.columns
  }

  override _write(chunk: string, _encoding: BufferEncoding, done: () => void): void {
    // At once, so that `isQuiet` is that of the moment of writing.
    if (!this.isQuiet) this.#target.write(chunk)
    done()
  }
}

export class LineReader {
  readonly #echo: Echo
  readonly #interface: Interface
  readonly #lines: string[] = []
  #isClosed = false
  #wake: (() => void) | undefined

  /** `onInterrupt` gets every Ctrl-C and whether there was half a line, which is then cleared. */
  constructor(
    stdin: InputStream,
    stdout: OutputStream,
    prompt: string,
    onInterrupt: (hadText: boolean) => void,
  ) {
    this.#echo = new Echo(stdout)
    this.#interface = createInterface({
      input: stdin,
      output: this.#echo,
      prompt,
      terminal: true,
      historySize: 200,
      removeHistoryDuplicates: true,
    })
    this.#interface.on('line', (line) => {
      // Lines pasted behind it wait their turn unseen.
      this.#echo.isQuiet = true
      this.#lines.push(line)
      this.#wake?.()
    })
    this.#interface.on('close', () => {
      this.#isClosed = true
      this.#wake?.()
    })
    this.#interface.on('SIGINT', () => {
      const hadText = this.#interface.line !== ''
      // Ctrl-E, Ctrl-U: readline's own way to clear the line.
      this.#interface.write(null, { ctrl: true, name: 'e' })
      this.#interface.write(null, { ctrl: true, name: 'u' })
      onInterrupt(hadText)
    })
  }

  /** The next line; undefined when there will be none (Ctrl-D, or closed). */
  async next(): Promise<string | undefined> {
    const typedAhead = this.#lines.shift()
    if (typedAhead !== undefined) {
      this.#echo.isQuiet = false
      this.#echo.write(`${this.#interface.getPrompt()}${typedAhead}\n`)
      this.#echo.isQuiet = true
      return typedAhead
    }
    if (this.#isClosed) return undefined
    this.#echo.isQuiet = false
    this.#interface.prompt(true)
    await new Promise<void>((resolve) => (this.#wake = resolve))
    this.#echo.isQuiet = true
    return this.#lines.shift()
  }

  /** A line of ours below the one that is being typed, which then begins anew. */
  interject(text: string): void {
    this.#echo.write(`\n${text}\n`)
    this.#interface.prompt(true)
  }

  close(): void {
    this.#interface.close()
  }
}
