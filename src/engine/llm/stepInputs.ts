// Scheduled chunks → the flat inputs of one step. Pure: reads sequences, changes nothing.

import { invariant } from '../../core/errors.ts'
import type { DimEnv } from '../../graph/dim.ts'
import type { StepValues } from '../../plan/stepLayout.ts'
import { SamplingInputsBuilder } from './sampler.ts'
import type { ScheduledChunk } from './scheduler.ts'

export interface StepInputs {
  readonly dims: DimEnv
  readonly values: StepValues
}

export interface StepShape {
  readonly blockSize: number
  /** Columns of the block tables. */
  readonly maxBlocksPerSeq: number
}

/** Kinds of a token's source. */
const literal = 0
const sampledRow = 1

export function buildStepInputs(
  chunks: readonly ScheduledChunk[],
  { blockSize, maxBlocksPerSeq }: StepShape,
): StepInputs {
  const tokenSource: number[] = []
  const positions: number[] = []
  const slotMapping: number[] = []
  const cuSeqlensQ = [0]
  const contextLens: number[] = []
  const blockTables = new Int32Array(chunks.length * maxBlocksPerSeq)
  const logitsRows: number[] = []
  const sampling = new SamplingInputsBuilder()

  chunks.forEach(({ sequence, start, numTokens, samples }, index) => {
    const { blockTable, tokens, row } = sequence
    invariant(row !== undefined, 'a scheduled sequence has a row')
    for (let position = start; position < start + numTokens; position++) {
      // Only the newest token may still be on the device.
      const token = tokens[position]
      if (token === undefined) tokenSource.push(sampledRow, row)
      else tokenSource.push(literal, token)
      positions.push(position)
      slotMapping.push(blockTable[Math.floor(position / blockSize)]! * blockSize + (position % blockSize))
    }
    cuSeqlensQ.push(positions.length)
    contextLens.push(start + numTokens)
    blockTables.set(blockTable, index * maxBlocksPerSeq)
    sampling.addSequence(sequence)
    if (!samples) return
    logitsRows.push(positions.length - 1)
    sampling.addRow(sequence, start + numTokens)
  })
  return {
    dims: { T: positions.length, S: chunks.length, R: logitsRows.length },
    values: {
      tokenSource,
      positions,
      slotMapping,
      cuSeqlensQ,
      contextLens,
      blockTables,
      logitsRows,
      ...sampling.finish(),
    },
  }
}
