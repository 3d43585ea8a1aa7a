// Rotary frequencies and tables with the rounding of transformers: every operation in f32, sines and cosines of the
// f32 angle; test/golden/make/README.md has the steps as a table. Computed on the host because WGSL's sin and cos are
// too coarse. Not here: reading config.json (ropeConfig.ts).

import type { RopeConfig } from './ropeConfig.ts'

type RopeOf<Kind extends RopeConfig['kind']> = Extract<RopeConfig, { kind: Kind }>

const f = Math.fround

/** Inverse frequencies [rotaryDim / 2] in f32. `maxSeqLen` matters to `dynamic` only. */
export function inverseFrequencies(rope: RopeConfig, rotaryDim: number, maxSeqLen: number): Float32Array {
  const theta = rope.kind === 'dynamic' ? dynamicTheta(rope, rotaryDim, maxSeqLen) : f(rope.theta)
  return Float32Array.from({ length: rotaryDim / 2 }, (_, i) => {
    const power = f(theta ** f((2 * i) / rotaryDim))
    const inverse = f(1 / power)
    switch (rope.kind) {
      case 'default':
      case 'dynamic':
        return inverse
      case 'linear':
        return f(inverse / f(rope.factor))
      case 'yarn': {
        const stretched = f(1 / f(f(rope.factor) * power))
        const keep = f(1 - yarnRamp(rope, rotaryDim, i))
        return f(f(stretched * f(1 - keep)) + f(inverse * keep))
      }
      case 'llama3':
        return scaleLlama3(rope, inverse)
      default:
        throw rope satisfies never
    }
  })
}

/** f32 throughout, since transformers holds the sequence length in a tensor. */
function dynamicTheta(rope: RopeOf<'dynamic'>, rotaryDim: number, maxSeqLen: number): number {
  const { theta, factor, originalMaxSeqLen } = rope
  if (maxSeqLen <= originalMaxSeqLen) return f(theta)
  const stretch = f(f(f(f(factor) * maxSeqLen) / originalMaxSeqLen) - f(factor - 1))
  return f(f(theta) * f(stretch ** f(rotaryDim / (rotaryDim - 2))))
}

/** 0 for pairs that are kept, 1 for those that are stretched. Its ends are f64 numbers, itself it is f32. */
function yarnRamp(rope: RopeOf<'yarn'>, rotaryDim: number, pair: number): number {
  const { theta, originalMaxSeqLen, betaFast, betaSlow, truncate } = rope
  /** The pair that makes so many rotations within the original length. */
  const pairOf = (rotations: number): number =>
    (rotaryDim * Math.log(originalMaxSeqLen / (rotations * 2 * Math.PI))) / (2 * Math.log(theta))
  const low = Math.max(truncate ? Math.floor(pairOf(betaFast)) : pairOf(betaFast), 0)
  const high = Math.min(truncate ? Math.ceil(pairOf(betaSlow)) : pairOf(betaSlow), rotaryDim - 1)
  const width = low === high ? high + 0.001 - low : high - low
  return Math.min(Math.max(f(f(pair - f(low)) / f(width)), 0), 1)
}

function scaleLlama3(rope: RopeOf<'llama3'>, inverse: number): number {
  const { factor, lowFreqFactor, highFreqFactor, originalMaxSeqLen } = rope
  // transformers divides a number by a tensor, which torch computes as reciprocal, then product.
  const wavelength = f(f(1 / inverse) * f(2 * Math.PI))
  if (wavelength > f(originalMaxSeqLen / lowFreqFactor)) return f(inverse / f(factor))
  if (wavelength < f(originalMaxSeqLen / highFreqFactor)) return inverse
  const rotations = f(f(1 / wavelength) * f(originalMaxSeqLen))
  const smooth = f(f(rotations - f(lowFreqFactor)) / f(highFreqFactor - lowFreqFactor))
  return f(f(f(f(1 - smooth) * inverse) / f(factor)) + f(smooth * inverse))
}

/**
 * Table [maxSeqLen, rotaryDim], or rows [firstRow, firstRow + numRows) of it: cosines of all angles of a position, then
 * their sines. A row depends on its position alone, but for `dynamic`, whose frequencies are those of a sequence of
 * `maxSeqLen` tokens.
 */
export function rotaryTable(
  rope: RopeConfig,
  rotaryDim: number,
  maxSeqLen: number,
  firstRow = 0,
  numRows: number = maxSeqLen - firstRow,
): Float32Array {
  const inverse = inverseFrequencies(rope, rotaryDim, maxSeqLen)
  const scaling = f(rope.kind === 'yarn' ? rope.attentionFactor : 1)
  const half = inverse.length
  const table = new Float32Array(numRows * rotaryDim)
  for (let row = 0; row < numRows; row++) {
    for (let i = 0; i < half; i++) {
      const angle = f((firstRow + row) * inverse[i]!)
      table[row * rotaryDim + i] = f(Math.cos(angle)) * scaling
      table[row * rotaryDim + half + i] = f(Math.sin(angle)) * scaling
    }
  }
  return table
}
