// The step writer: what lands where in the words of a step, and each way in which a step can be refused.

import { describe, expect, test } from 'vitest'
import { RuntimeFault } from '../../../src/core/errors.ts'
import { GraphBuilder } from '../../../src/graph/builder.ts'
import { affine, symbol } from '../../../src/graph/dim.ts'
import { layoutStep, StepWriter, type StepValues } from '../../../src/plan/stepLayout.ts'

const maxima = { T: 70, S: 2, R: 2 }

function writer(): StepWriter {
  const b = new GraphBuilder('step')
  b.input('ids', 'i32', [symbol('T')])
  b.input('heat', 'f32', [symbol('R')])
  b.input('seed', 'u32', [symbol('R'), 2])
  b.input('starts', 'i32', [affine(symbol('S'), 1, 1)])
  return new StepWriter(layoutStep(b.finish(), maxima), maxima)
}

const dims = { T: 3, S: 1, R: 2 }
const values: StepValues = {
  ids: [5, -6, 7],
  heat: [0.5, 1.25],
  seed: [1, 0xffff_ffff, 0x8000_0000, 2],
  starts: [0, 3],
}

describe('a step', () => {
  test('begins with its dims, in the order of the symbols', () => {
    const step = writer().write(dims, values)
    expect(step.dims).toEqual(dims)
    expect([...step.words.subarray(0, 3)]).toEqual([3, 1, 2])
  })

  test('holds integers, float bits and unsigned bits at the offsets of their fields', () => {
    const { words } = writer().write(dims, values)
    // 70 ids take two blocks of 64 words, so the next field begins at 64 + 128.
    expect([...words.subarray(64, 67)]).toEqual([5, -6, 7])
    expect([...new Float32Array(words.buffer, 192 * 4, 2)]).toEqual([0.5, 1.25])
    expect([...new Uint32Array(words.buffer, 256 * 4, 4)]).toEqual([1, 0xffff_ffff, 0x8000_0000, 2])
    expect([...words.subarray(320, 322)]).toEqual([0, 3])
  })

  test('ends with its last value, so that no more is uploaded than needed', () => {
    expect(writer().write(dims, values).words).toHaveLength(322)
    const larger = { ...values, starts: [0, 1, 3] }
    expect(writer().write({ ...dims, S: 2 }, larger).words).toHaveLength(323)
  })

  test('reuses the memory of the one before', () => {
    const steps = writer()
    const first = steps.write(dims, values)
    const second = steps.write(dims, { ...values, ids: [8, 9, 10] })
    expect(second.words.buffer).toBe(first.words.buffer)
    expect(first.words[64]).toBe(8)
  })

  test('may be empty and may be the largest', () => {
    writer().write({ T: 0, S: 0, R: 0 }, { ids: [], heat: [], seed: [], starts: [0] })
    const ids = Array.from({ length: 70 }, (_, i) => i)
    const { words } = writer().write({ T: 70, S: 2, R: 2 }, { ...values, ids, starts: [0, 1, 70] })
    expect([...words.subarray(64, 134)]).toEqual(ids)
    expect(words[192]).toBe(0x3f00_0000)
  })
})

describe('a step is refused', () => {
  /** The message of the fault, which must be of input. */
  const refuse = (run: () => unknown): string => {
    try {
      run()
    } catch (error) {
      if (error instanceof RuntimeFault && error.code === 'engine/input') return error.message
      throw error
    }
    throw new Error('there was no fault')
  }

  test.each([
    ['T', 71],
    ['S', 3],
    ['R', 3],
    ['T', -1],
    ['R', NaN],
  ] as const)('with %s = %d', (name, value) => {
    expect(refuse(() => writer().write({ ...dims, [name]: value }, values))).toContain(
      `step dimension ${name}`,
    )
  })

  test('with too few or too many values', () => {
    expect(refuse(() => writer().write(dims, { ...values, ids: [1, 2] }))).toMatchInlineSnapshot(
      `"[engine/input] step input ids: expected 3 elements, got 2. Fill every input of the step."`,
    )
    refuse(() => writer().write(dims, { ...values, ids: [1, 2, 3, 4] }))
    refuse(() => writer().write(dims, { ...values, starts: [0] }))
    writer().write(dims, values)
  })

  test('without one of its inputs', () => {
    const { seed: _, ...rest } = values
    expect(refuse(() => writer().write(dims, rest))).toMatchInlineSnapshot(
      `"[engine/input] step input seed: expected 4 elements, got none. Fill every input of the step."`,
    )
  })
})

test('an input of halves has no place in a step', () => {
  const b = new GraphBuilder('step')
  b.input('x', 'f16', [symbol('T')])
  expect(() => layoutStep(b.finish(), maxima)).toThrow('[internal] step input x has 32-bit elements')
})
