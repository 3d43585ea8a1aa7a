// What the scheduler decides, step by step: who is admitted, how many tokens each gets, who is preempted.
// Random arrivals and endings are in test/property/scheduler.test.ts.

import { describe, expect, test } from 'vitest'
import { BlockManager } from '../../../src/engine/llm/blockManager.ts'
import { Scheduler, type ScheduledChunk, type SchedulerOptions } from '../../../src/engine/llm/scheduler.ts'
import type { Sequence } from '../../../src/engine/llm/sequence.ts'
import { commit, sequenceOf, step, submit } from './sequences.ts'

const blockSize = 4

interface Setup extends Partial<SchedulerOptions> {
  readonly numBlocks?: number
}

function setUp(
  sequences: readonly Sequence[],
  { numBlocks = 100, maxNumSeqs = 8, maxNumBatchedTokens = 32 }: Setup = {},
): { scheduler: Scheduler; blocks: BlockManager } {
  const blocks = new BlockManager(numBlocks, blockSize)
  const scheduler = new Scheduler(blocks, { maxNumSeqs, maxNumBatchedTokens })
  for (const sequence of sequences) scheduler.add(sequence)
  return { scheduler, blocks }
}

/** [index of the sequence, first position, number of tokens, whether it samples] of each chunk. */
function shown(chunks: readonly ScheduledChunk[], sequences: readonly Sequence[]): unknown[] {
  return chunks.map(({ sequence, start, numTokens, samples }) => [
    sequences.indexOf(sequence),
    start,
    numTokens,
    samples,
  ])
}

describe('admission', () => {
  test('is in order of arrival and takes blocks for exactly the prompt', () => {
    const sequences = [sequenceOf(3), sequenceOf(4), sequenceOf(5)]
    const { scheduler, blocks } = setUp(sequences)
    expect(shown(scheduler.schedule(), sequences)).toEqual([
      [0, 0, 3, true],
      [1, 0, 4, true],
      [2, 0, 5, true],
    ])
    expect(sequences.map(({ blockTable }) => blockTable)).toEqual([[0], [1], [2, 3]])
    expect(sequences.map(({ status }) => status)).toEqual(['running', 'running', 'running'])
    expect(blocks.numFree).toBe(96)
  })

  test('stops at the first that does not fit, even where a later one would', () => {
    const sequences = [sequenceOf(8), sequenceOf(12), sequenceOf(1)]
    const { scheduler } = setUp(sequences, { numBlocks: 4 })
    expect(shown(scheduler.schedule(), sequences)).toEqual([[0, 0, 8, true]])
    expect(sequences.map(({ status }) => status)).toEqual(['running', 'waiting', 'waiting'])
    expect(sequences[1]!.blockTable).toEqual([])
  })

  test('takes both where the second just fits', () => {
    const sequences = [sequenceOf(8), sequenceOf(8)]
    const { scheduler, blocks } = setUp(sequences, { numBlocks: 4 })
    expect(scheduler.schedule()).toHaveLength(2)
    expect(blocks.numFree).toBe(0)
  })

  test('goes on in the next step with whoever was left out', () => {
    const sequences = [sequenceOf(8, 1), sequenceOf(12), sequenceOf(1)]
    const { scheduler } = setUp(sequences, { numBlocks: 4 })
    step(scheduler.schedule())
    scheduler.finish(sequences[0]!)
    expect(shown(scheduler.schedule(), sequences)).toEqual([
      [1, 0, 12, true],
      [2, 0, 1, true],
    ])
  })

  test('takes no more than maxNumSeqs, each with a row of its own', () => {
    const sequences = [sequenceOf(1), sequenceOf(1), sequenceOf(1)]
    const { scheduler } = setUp(sequences, { maxNumSeqs: 2 })
    expect(scheduler.schedule()).toHaveLength(2)
    expect(sequences.map(({ row }) => row)).toEqual([0, 1, undefined])
  })

  test('gives the row of a finished sequence to the next one', () => {
    const sequences = [sequenceOf(1), sequenceOf(1), sequenceOf(1)]
    const { scheduler } = setUp(sequences, { maxNumSeqs: 2 })
    step(scheduler.schedule())
    scheduler.finish(sequences[0]!)
    expect(shown(scheduler.schedule(), sequences)).toEqual([
      [1, 1, 1, true],
      [2, 0, 1, true],
    ])
    expect(sequences.map(({ row }) => row)).toEqual([undefined, 1, 0])
  })
})

describe('the token budget', () => {
  test.each([
    [
      10,
      [
        [0, 0, 6, true],
        [1, 0, 4, false],
      ],
    ],
    [
      12,
      [
        [0, 0, 6, true],
        [1, 0, 6, true],
      ],
    ],
    [6, [[0, 0, 6, true]]],
    [5, [[0, 0, 5, false]]],
  ])('of %i gives two prompts of six tokens their parts', (maxNumBatchedTokens, expected) => {
    const sequences = [sequenceOf(6), sequenceOf(6)]
    const { scheduler } = setUp(sequences, { maxNumBatchedTokens })
    expect(shown(scheduler.schedule(), sequences)).toEqual(expected)
  })

  test('cuts a long prompt into chunks that continue where the last one stopped', () => {
    const sequences = [sequenceOf(11)]
    const { scheduler } = setUp(sequences, { maxNumBatchedTokens: 5 })
    const steps = [1, 2, 3, 4].map(() => {
      const chunks = scheduler.schedule()
      step(chunks)
      return shown(chunks, sequences)[0]
    })
    expect(steps).toEqual([
      [0, 0, 5, false],
      [0, 5, 5, false],
      [0, 10, 1, true],
      [0, 11, 1, true],
    ])
    expect(sequences[0]!.blockTable).toHaveLength(3)
  })

  test('serves decodes first, then the prefill that is under way, then newcomers', () => {
    const sequences = [sequenceOf(2), sequenceOf(9), sequenceOf(3)]
    const { scheduler } = setUp(sequences.slice(0, 2), { maxNumBatchedTokens: 6 })
    step(scheduler.schedule())
    scheduler.add(sequences[2]!)
    const chunks = scheduler.schedule()
    expect(shown(chunks, sequences)).toEqual([
      [0, 2, 1, true],
      [1, 4, 5, true],
    ])
    step(chunks)
    expect(shown(scheduler.schedule(), sequences)).toEqual([
      [0, 3, 1, true],
      [1, 9, 1, true],
      [2, 0, 3, true],
    ])
  })
})

describe('a sequence with a pending token', () => {
  test('decodes it in the next step without waiting for the read-back', () => {
    const sequences = [sequenceOf(3)]
    const { scheduler } = setUp(sequences)
    submit(scheduler.schedule())
    expect(shown(scheduler.schedule(), sequences)).toEqual([[0, 3, 1, true]])
  })

  test('gets nothing while the last token that it may have is pending', () => {
    const sequences = [sequenceOf(3, 1)]
    const { scheduler } = setUp(sequences)
    submit(scheduler.schedule())
    expect(scheduler.schedule()).toEqual([])
    expect(scheduler.hasUnfinished).toBe(true)
  })

  test('is not admitted again after preemption until the token has been read back', () => {
    const sequences = [sequenceOf(4), sequenceOf(4)]
    const { scheduler } = setUp(sequences, { numBlocks: 3 })
    const pending = submit(scheduler.schedule())
    // The first takes the last block for its fifth token; the second is preempted with its token on the device.
    const second = submit(scheduler.schedule())
    expect(second).toEqual([sequences[0]])
    expect(sequences[1]!).toMatchObject({ status: 'waiting', numPending: 1, numComputed: 0, blockTable: [] })
    scheduler.finish(sequences[0]!)
    expect(scheduler.schedule()).toEqual([])
    commit(pending)
    expect(shown(scheduler.schedule(), sequences)).toEqual([[1, 0, 5, true]])
  })
})

describe('preemption', () => {
  test('takes the latest sequence, which recomputes prompt and answer from the start', () => {
    const sequences = [sequenceOf(4), sequenceOf(4), sequenceOf(4)]
    const { scheduler, blocks } = setUp(sequences, { numBlocks: 4 })
    step(scheduler.schedule())
    const chunks = scheduler.schedule()
    // Four blocks: the first takes the free one, the second that of the third.
    expect(shown(chunks, sequences)).toEqual([
      [0, 4, 1, true],
      [1, 4, 1, true],
    ])
    expect(sequences.map(({ status }) => status)).toEqual(['running', 'running', 'waiting'])
    expect(sequences[2]!).toMatchObject({ numComputed: 0, row: undefined, blockTable: [] })
    expect(blocks.numFree).toBe(0)
    step(chunks)
    scheduler.finish(sequences[0]!)
    expect(shown(scheduler.schedule(), sequences)).toEqual([
      [1, 5, 1, true],
      [2, 0, 5, true],
    ])
  })

  test('puts the sequence before those that have never run', () => {
    const sequences = [sequenceOf(4), sequenceOf(4), sequenceOf(1)]
    const { scheduler } = setUp(sequences, { numBlocks: 2 })
    step(scheduler.schedule())
    step(scheduler.schedule())
    expect(sequences.map(({ status }) => status)).toEqual(['running', 'waiting', 'waiting'])
    scheduler.finish(sequences[0]!)
    const chunks = scheduler.schedule()
    expect(shown(chunks, sequences)).toEqual([[1, 0, 5, true]])
  })

  test('keeps the order of those that are preempted together', () => {
    const sequences = [sequenceOf(8), sequenceOf(4), sequenceOf(4)]
    const { scheduler } = setUp(sequences, { numBlocks: 6, maxNumBatchedTokens: 32 })
    step(scheduler.schedule())
    // Blocks 2 + 1 + 1, two free; all three want one more.
    step(scheduler.schedule())
    expect(sequences.map(({ status }) => status)).toEqual(['running', 'running', 'waiting'])
    // Until the first needs a fifth block, nobody moves; then the second goes too.
    while (sequences[1]!.status === 'running') step(scheduler.schedule())
    scheduler.finish(sequences[0]!)
    const chunks = scheduler.schedule()
    expect(chunks.map(({ sequence }) => sequences.indexOf(sequence))).toEqual([1, 2])
  })

  test('admits nobody in the same step, even if a chunk would fit', () => {
    const sequences = [sequenceOf(3), sequenceOf(8)]
    const { scheduler, blocks } = setUp(sequences, { numBlocks: 3, maxNumBatchedTokens: 4 })
    step(scheduler.schedule())
    step(scheduler.schedule())
    expect(sequences.map(({ numComputed }) => numComputed)).toEqual([4, 4])
    // Both want a second block. The later one gives up its own, which would hold the three tokens of the budget.
    expect(shown(scheduler.schedule(), sequences)).toEqual([[0, 4, 1, true]])
    expect(blocks.numFree).toBe(1)
  })

  test('does not happen while blocks are left', () => {
    const sequences = [sequenceOf(4), sequenceOf(4)]
    const { scheduler, blocks } = setUp(sequences, { numBlocks: 4 })
    step(scheduler.schedule())
    expect(scheduler.schedule()).toHaveLength(2)
    expect(blocks.numFree).toBe(0)
  })
})

describe('the end of a sequence', () => {
  test('frees blocks and row whether it waits, runs or has been preempted', () => {
    const sequences = [sequenceOf(4), sequenceOf(4), sequenceOf(40)]
    const { scheduler, blocks } = setUp(sequences, { numBlocks: 2 })
    step(scheduler.schedule())
    step(scheduler.schedule())
    expect(sequences.map(({ status }) => status)).toEqual(['running', 'waiting', 'waiting'])
    for (const sequence of sequences) scheduler.finish(sequence)
    expect(blocks.numFree).toBe(2)
    expect(scheduler.hasUnfinished).toBe(false)
    expect(scheduler.schedule()).toEqual([])
    expect(sequences.every(({ status, row }) => status === 'finished' && row === undefined)).toBe(true)
  })

  test('may be told twice', () => {
    const sequences = [sequenceOf(4)]
    const { scheduler, blocks } = setUp(sequences, { numBlocks: 2 })
    step(scheduler.schedule())
    scheduler.finish(sequences[0]!)
    scheduler.finish(sequences[0]!)
    expect(blocks.numFree).toBe(2)
  })
})
