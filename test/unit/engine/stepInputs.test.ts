// Scheduled chunks → flat step inputs, on an example worked out by hand.

import { describe, expect, test } from 'vitest'
import type { BlockId } from '../../../src/core/brand.ts'
import { buildStepInputs } from '../../../src/engine/llm/stepInputs.ts'
import { sequenceOf } from './sequences.ts'

const shape = { blockSize: 4, maxBlocksPerSeq: 3 }
const blockIds = (...ids: number[]): BlockId[] => ids as BlockId[]

/** Five prompt tokens and one answer token are known (1…5, 60); the seventh token is still on the device, in row 2. */
function decoding(): ReturnType<typeof sequenceOf> {
  const sequence = sequenceOf(5, 9, { sampling: { temperature: 0.5, seed: [11, 12] } })
  sequence.tokens.push(60)
  sequence.numPending = 1
  sequence.row = 2
  sequence.blockTable = blockIds(9, 4)
  return sequence
}

/** Nine prompt tokens, of which three have been computed. */
function prefilling(): ReturnType<typeof sequenceOf> {
  const sequence = sequenceOf(9, 9, { sampling: { temperature: 0, seed: [21, 22] } })
  sequence.row = 0
  sequence.blockTable = blockIds(7, 0, 5)
  return sequence
}

describe('step inputs', () => {
  test('of a decode with a pending token and a chunk over a block boundary are as worked out by hand', () => {
    const { dims, values } = buildStepInputs(
      [
        { sequence: decoding(), start: 6, numTokens: 1, samples: true },
        { sequence: prefilling(), start: 3, numTokens: 3, samples: false },
      ],
      shape,
    )
    expect(dims).toEqual({ T: 4, S: 2, R: 1 })
    expect(values).toMatchObject({
      // Row 2 of what was sampled, then literal tokens 4, 5 and 6.
      tokenSource: [1, 2, 0, 4, 0, 5, 0, 6],
      positions: [6, 3, 4, 5],
      // Position 6 is the third slot of block 4; 3 the last of block 7; 4 and 5 begin block 0.
      slotMapping: [18, 31, 0, 1],
      cuSeqlensQ: [0, 1, 4],
      contextLens: [7, 6],
      blockTables: Int32Array.of(9, 4, 0, 7, 0, 5),
      logitsRows: [0],
      temperature: [0.5],
      seed: [11, 12],
      tokenIndex: [7],
      sampleTargets: [2],
    })
  })

  test('of a last chunk sample from its last token', () => {
    const { dims, values } = buildStepInputs(
      [
        { sequence: prefilling(), start: 6, numTokens: 3, samples: true },
        { sequence: decoding(), start: 6, numTokens: 1, samples: true },
      ],
      shape,
    )
    expect(dims).toEqual({ T: 4, S: 2, R: 2 })
    expect(values).toMatchObject({
      logitsRows: [2, 3],
      seed: [21, 22, 11, 12],
      tokenIndex: [9, 7],
      sampleTargets: [0, 2],
    })
  })

  test('take a token from the host as soon as it has been read back', () => {
    const sequence = decoding()
    sequence.tokens.push(61)
    sequence.numPending = 0
    const { values } = buildStepInputs([{ sequence, start: 6, numTokens: 1, samples: true }], shape)
    expect(values['tokenSource']).toEqual([0, 61])
  })

  test('need a row for every sequence', () => {
    const sequence = prefilling()
    sequence.row = undefined
    const chunk = { sequence, start: 0, numTokens: 1, samples: false }
    expect(() => buildStepInputs([chunk], shape)).toThrow(/has a row/)
  })

  test('leave the sequences as they were', () => {
    const sequence = decoding()
    const before = structuredClone(Object.assign({}, sequence))
    buildStepInputs([{ sequence, start: 6, numTokens: 1, samples: true }], shape)
    expect(Object.assign({}, sequence)).toEqual(before)
  })
})
