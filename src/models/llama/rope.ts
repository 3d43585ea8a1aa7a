// Rotary frequencies and tables with the rounding of transformers: every operation in f32, sines and cosines of the
// f32 angle. Computed on the host because WGSL's sin and cos are too coarse.

import { RuntimeFault } from '../../core/errors.ts'
import { configFault, readNumber, type JsonObject } from '../shared/configFields.ts'

export type RopeConfig =
  | { readonly kind: 'default'; readonly theta: number }
  | {
      readonly kind: 'llama3'
      readonly theta: number
      readonly factor: number
      readonly lowFreqFactor: number
      readonly highFreqFactor: number
      readonly originalMaxSeqLen: number
    }

/** From `rope_parameters` (transformers 5), or `rope_theta` and `rope_scaling` (transformers 4), or a mix. */
export function readRope(json: JsonObject): RopeConfig {
  const parameters = asObject('rope_parameters', json['rope_parameters'])
  const scaling = asObject('rope_scaling', json['rope_scaling'])
  const merged: JsonObject = { rope_theta: json['rope_theta'] ?? 10_000, ...scaling, ...parameters }
  const theta = readNumber(merged, 'rope_theta')
  const kind = merged['rope_type'] ?? merged['type'] ?? 'default'
  switch (kind) {
    case 'default':
      return { kind: 'default', theta }
    case 'llama3': {
      const lowFreqFactor = readNumber(merged, 'low_freq_factor')
      const highFreqFactor = readNumber(merged, 'high_freq_factor')
      if (highFreqFactor <= lowFreqFactor)
        throw configFault('high_freq_factor', `more than ${lowFreqFactor}`, highFreqFactor)
      return {
        kind: 'llama3',
        theta,
        factor: readNumber(merged, 'factor'),
        lowFreqFactor,
        highFreqFactor,
        originalMaxSeqLen: readNumber(merged, 'original_max_position_embeddings'),
      }
    }
    default:
      throw new RuntimeFault('model/unsupported', {
        where: 'config.json rope_type',
        expected: 'default or llama3',
        got: JSON.stringify(kind),
        fix: 'Use a checkpoint with a supported rotary scaling.',
      })
  }
}

function asObject(field: string, value: unknown): JsonObject {
  if (value === undefined || value === null) return {}
  if (typeof value === 'object' && !Array.isArray(value)) return value as JsonObject
  throw configFault(field, 'an object', value)
}

const f = Math.fround

/** Inverse frequencies [rotaryDim / 2] in f32. */
export function inverseFrequencies(rope: RopeConfig, rotaryDim: number): Float32Array {
  return Float32Array.from({ length: rotaryDim / 2 }, (_, i) => {
    const inverse = f(1 / f(f(rope.theta) ** f((2 * i) / rotaryDim)))
    return rope.kind === 'default' ? inverse : scaleLlama3(rope, inverse)
  })
}

/** Keeps short wavelengths, stretches long ones by `factor`, blends those between. */
function scaleLlama3(rope: Extract<RopeConfig, { kind: 'llama3' }>, inverse: number): number {
  const { factor, lowFreqFactor, highFreqFactor, originalMaxSeqLen } = rope
  // transformers divides a number by a tensor, which torch computes as reciprocal, then product.
  const wavelength = f(f(1 / inverse) * f(2 * Math.PI))
  if (wavelength > f(originalMaxSeqLen / lowFreqFactor)) return f(inverse / f(factor))
  if (wavelength < f(originalMaxSeqLen / highFreqFactor)) return inverse
  const rotations = f(f(1 / wavelength) * f(originalMaxSeqLen))
  const smooth = f(f(rotations - f(lowFreqFactor)) / f(highFreqFactor - lowFreqFactor))
  return f(f(f(f(1 - smooth) * inverse) / f(factor)) + f(smooth * inverse))
}

/** Table [maxSeqLen, rotaryDim]: cosines of all angles of a position, then their sines. */
export function rotaryTable(rope: RopeConfig, rotaryDim: number, maxSeqLen: number): Float32Array {
  const inverse = inverseFrequencies(rope, rotaryDim)
  const half = inverse.length
  const table = new Float32Array(maxSeqLen * rotaryDim)
  for (let position = 0; position < maxSeqLen; position++) {
    for (let i = 0; i < half; i++) {
      const angle = f(position * inverse[i]!)
      table[position * rotaryDim + i] = Math.cos(angle)
      table[position * rotaryDim + half + i] = Math.sin(angle)
    }
  }
  return table
}
