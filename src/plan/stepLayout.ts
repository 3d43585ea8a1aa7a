// Layout of a step's inputs in one flat buffer of 32-bit words, so that a step is one upload (and one broadcast).
// The first words are the values of the dim symbols, which kernels see as a uniform.

import { RuntimeFault, invariant } from '../core/errors.ts'
import { dimSymbols, numElements, type DimEnv } from '../graph/dim.ts'
import { valueOf, type Graph } from '../graph/graph.ts'
import type { StepField, StepLayout } from './types.ts'

/** Fields start at multiples of this many words, which satisfies every adapter's binding alignment. */
const fieldAlignment = 64

export function layoutStep(graph: Graph, maxima: DimEnv): StepLayout {
  let offset = fieldAlignment
  const fields = graph.inputs.map((id): StepField => {
    const value = valueOf(graph, id)
    invariant(value.dtype !== 'f16', `step input ${value.name} has 32-bit elements`)
    const capacity = numElements(value.shape, maxima)
    const field = { name: value.name, value: id, dtype: value.dtype, shape: value.shape, offset, capacity }
    offset += Math.ceil(capacity / fieldAlignment) * fieldAlignment
    return field
  })
  return { fields, words: offset }
}

/** Values of a step's inputs by name; f32 inputs as numbers, not bits. */
export type StepValues = Readonly<Record<string, ArrayLike<number>>>

/** A step as it goes to a device. */
export interface Step {
  readonly dims: DimEnv
  /** Words in the plan's layout; valid until the next `write` of its writer. */
  readonly words: Int32Array
  /** Whether it computes tokens of a prompt, where that is known: for who times steps, not for devices. */
  readonly isPrefill?: boolean
}

/** Fills one reused word array for each step of a plan. */
export class StepWriter {
  readonly #layout: StepLayout
  readonly #maxima: DimEnv
  readonly #words: Int32Array
  readonly #floats: Float32Array

  constructor(layout: StepLayout, maxima: DimEnv) {
    this.#layout = layout
    this.#maxima = maxima
    this.#words = new Int32Array(layout.words)
    this.#floats = new Float32Array(this.#words.buffer)
  }

  /** Writes dims and values; every field must be given with exactly the elements that `dims` imply. */
  write(dims: DimEnv, values: StepValues): Step {
    dimSymbols.forEach((name, index) => {
      const limit = this.#maxima[name]
      if (!(dims[name] >= 0 && dims[name] <= limit)) {
        throw new RuntimeFault('engine/input', {
          where: `step dimension ${name}`,
          expected: `0 to ${limit}`,
          got: String(dims[name]),
          fix: 'Split the step or plan for a larger one.',
        })
      }
      this.#words[index] = dims[name]
    })
    let end: number = fieldAlignment
    for (const field of this.#layout.fields) {
      const source = values[field.name]
      const expected = numElements(field.shape, dims)
      if (source?.length !== expected) {
        throw new RuntimeFault('engine/input', {
          where: `step input ${field.name}`,
          expected: `${expected} elements`,
          got: String(source?.length ?? 'none'),
          fix: 'Fill every input of the step.',
        })
      }
      const target = field.dtype === 'f32' ? this.#floats : this.#words
      target.set(source, field.offset)
      end = field.offset + expected
    }
    return { dims, words: this.#words.subarray(0, end) }
  }
}
