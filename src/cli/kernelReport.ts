// Times of kernels as text for a person, line by line as they are measured. Not here: measuring, and where lines go.

import { notForShape, notOnAdapter } from '../bench/forcedVariant.ts'
import { kernelVariants, type KernelResult } from '../bench/kernels.ts'
import { number, percent } from './benchReport.ts'
import { list, wrap, type Colours } from './terminal.ts'

/** Of a variant that is meant for other adapters. */
const audience = { gpu: 'for GPUs', software: 'for CPUs' } as const

/** What stands behind the name of a kernel at most. */
const longestMark = ' * (for CPUs)'
const nameWidth = Math.max(...kernelVariants.map((name) => name.length)) + longestMark.length
const numberWidths = [9, 8, 9, 9] as const

const unsupported: readonly string[] = [notOnAdapter, notForShape]

export class KernelReport {
  readonly #colours: Colours
  readonly #columns: number
  readonly #results: KernelResult[] = []
  /** The step and the op under whose headings lines are now. */
  #step = ''
  #op = ''

  /** Lines are as wide as `columns` at most where they can be. */
  constructor(colours: Colours, columns: number) {
    this.#colours = colours
    this.#columns = columns
  }

  /** Over all lines. */
  head(): string[] {
    const text = 'Time of one op, and what it moves and computes. * is the variant that plans take.'
    return wrap(this.#colours.dim(text), this.#columns)
  }

  /** The row of a variant that ran or was left out, with the headings that it is the first below. */
  add(result: KernelResult): string[] {
    this.#results.push(result)
    const { model, tokens, origin, shape, skipped } = result
    if (skipped !== undefined && unsupported.includes(skipped)) return []
    const lines: string[] = []
    const step = `${model.replace('synthetic:', '')}, ${tokens === 1 ? '1 token' : `${tokens} tokens`}`
    if (step !== this.#step) {
      const columns = row('', ['µs', 'GB/s', 'GFLOP/s', 'of roof']).slice(step.length)
      lines.push('', `${this.#colours.bold(step)}${this.#colours.dim(columns)}`)
      this.#op = ''
    }
    this.#step = step
    // Ops of one place may differ in shape.
    const op = `${origin} ${shape}`
    if (op !== this.#op) lines.push(`  ${origin}`)
    this.#op = op
    return [...lines, this.#row(result)]
  }

  /** Below all lines: what could not run, by op kind and reason. */
  end(): string[] {
    const lines = unsupportedLines(this.#results, this.#columns)
    return lines.length === 0 ? [] : ['', ...lines]
  }

  #row({
    variant,
    isChosen,
    meantFor,
    micros,
    gigabytesPerSecond,
    gflops,
    roofFraction,
    skipped,
  }: KernelResult): string {
    const mark = `${isChosen ? ' *' : ''}${meantFor === undefined ? '' : ` (${audience[meantFor]})`}`
    const name = `    ${variant}${mark}`
    if (micros === undefined) return `${name}  skipped: ${skipped}`
    const cells = [micros, gigabytesPerSecond, gflops].map((each) => (each === undefined ? '' : number(each)))
    return row(name, [...cells, percent(roofFraction)])
  }
}

/** A name and numbers in columns of fixed widths: later rows are not known yet. */
function row(name: string, cells: readonly string[]): string {
  const columns = cells.map((cell, index) => cell.padStart(numberWidths[index]!))
  return `${name.padEnd(4 + nameWidth)}${columns.join('')}`
}

/** For each op kind and reason for which variants did not run somewhere: which, and at how many of its ops. */
function unsupportedLines(results: readonly KernelResult[], columns: number): string[] {
  const kinds = [...new Set(results.map(({ op }) => op))]
  return kinds.flatMap((kind) => {
    const ofKind = results.filter(({ op }) => op === kind)
    return unsupported.flatMap((reason) => {
      const names = [...new Set(ofKind.map(({ variant }) => variant))].flatMap((name) => {
        const ofVariant = ofKind.filter(({ variant }) => variant === name)
        const numSkipped = ofVariant.filter(({ skipped }) => skipped === reason).length
        if (numSkipped === 0) return []
        return [numSkipped === ofVariant.length ? name : `${name} (${numSkipped} of ${ofVariant.length})`]
      })
      return names.length === 0 ? [] : list(`${kind}: ${reason}:`, names, columns)
    })
  })
}
