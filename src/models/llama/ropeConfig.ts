// The rotary scalings of config.json, and how long a sequence each is meant for. Not here: their arithmetic (rope.ts).

import {
  configFault,
  maxCount,
  readCount,
  readFlag,
  readNumber,
  readOptionalNumber,
  unsupported,
  type JsonObject,
} from '../shared/configFields.ts'

/** Positions divided by `factor`. */
interface LinearRope {
  readonly kind: 'linear'
  readonly theta: number
  readonly factor: number
}

/**
 * NTK scaling: a larger theta for sequences beyond `originalMaxSeqLen`, growing with the length.
 * transformers takes the length of each forward pass, so keys in its cache keep the frequencies of the pass that
 * wrote them. Here one table serves every pass, with the frequencies of one pass over a whole `maxSeqLen` of the
 * engine; while that is at most `originalMaxSeqLen`, which it is by default, they are the plain ones.
 */
interface DynamicRope {
  readonly kind: 'dynamic'
  readonly theta: number
  readonly factor: number
  readonly originalMaxSeqLen: number
}

/** Keeps the pairs that rotate often within `originalMaxSeqLen`, stretches those that do not, blends between. */
interface YarnRope {
  readonly kind: 'yarn'
  readonly theta: number
  readonly factor: number
  readonly originalMaxSeqLen: number
  /** Pairs with more rotations are kept. */
  readonly betaFast: number
  /** Pairs with fewer rotations are stretched. */
  readonly betaSlow: number
  /** Whether the blend starts and ends at whole pairs. */
  readonly truncate: boolean
  /** Multiplies cosines and sines, and so the attention scores twice. */
  readonly attentionFactor: number
}

/** Keeps short wavelengths, stretches long ones by `factor`, blends those between. */
interface Llama3Rope {
  readonly kind: 'llama3'
  readonly theta: number
  readonly factor: number
  readonly lowFreqFactor: number
  readonly highFreqFactor: number
  readonly originalMaxSeqLen: number
}

export type RopeConfig =
  | { readonly kind: 'default'; readonly theta: number }
  | LinearRope
  | DynamicRope
  | YarnRope
  | Llama3Rope

/**
 * From `rope_parameters` (transformers 5), or `rope_theta` and `rope_scaling` (transformers 4), or a mix.
 * `maxPositions` is max_position_embeddings. Throws model/unsupported for a scaling that is not in `RopeConfig`.
 */
export function readRope(json: JsonObject, maxPositions: number): RopeConfig {
  const parameters = asObject('rope_parameters', json['rope_parameters'])
  const scaling = asObject('rope_scaling', json['rope_scaling'])
  const merged: JsonObject = {
    rope_theta: json['rope_theta'] ?? 10_000,
    partial_rotary_factor: json['partial_rotary_factor'],
    ...scaling,
    ...parameters,
  }
  const theta = readNumber(merged, 'rope_theta')
  if (readNumber(merged, 'partial_rotary_factor', 1) !== 1) {
    const fix = 'Use a checkpoint that rotates whole heads.'
    throw unsupported('partial_rotary_factor', '1', merged['partial_rotary_factor'], fix)
  }
  const kind = merged['rope_type'] ?? merged['type'] ?? 'default'
  switch (kind) {
    case 'default':
      return { kind: 'default', theta }
    case 'linear':
      return { kind: 'linear', theta, factor: readNumber(merged, 'factor') }
    case 'dynamic':
      return { kind: 'dynamic', theta, factor: readNumber(merged, 'factor'), originalMaxSeqLen: maxPositions }
    case 'yarn':
      return readYarn(json, merged, theta, maxPositions)
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
        originalMaxSeqLen: readOriginal(json, merged, maxPositions),
      }
    }
    default:
      throw unsupported(
        'rope_type',
        'default, linear, dynamic, yarn or llama3',
        kind,
        'Use a checkpoint with a supported rotary scaling.',
      )
  }
}

function readYarn(json: JsonObject, merged: JsonObject, theta: number, maxPositions: number): YarnRope {
  if (theta === 1) throw configFault('rope_theta', 'a number other than 1', theta)
  const originalMaxSeqLen = readOriginal(json, merged, maxPositions)
  const factor = readNumber(merged, 'factor', maxPositions / originalMaxSeqLen)
  const mscale = (weight: number): number => (factor <= 1 ? 1 : 0.1 * weight * Math.log(factor) + 1)
  // Zero stands for absent in these four, as in transformers.
  const optional = (field: string): number | undefined =>
    merged[field] === 0 ? undefined : readOptionalNumber(merged, field)
  const numerator = optional('mscale')
  const denominator = optional('mscale_all_dim')
  const isWeighted = numerator !== undefined && denominator !== undefined
  return {
    kind: 'yarn',
    theta,
    factor,
    originalMaxSeqLen,
    betaFast: optional('beta_fast') ?? 32,
    betaSlow: optional('beta_slow') ?? 1,
    truncate: readFlag(merged, 'truncate', true),
    attentionFactor:
      readOptionalNumber(merged, 'attention_factor') ??
      (isWeighted ? mscale(numerator) / mscale(denominator) : mscale(1)),
  }
}

/** Outside the scaling it wins, as in transformers. */
function readOriginal(json: JsonObject, merged: JsonObject, maxPositions: number): number {
  const field = 'original_max_position_embeddings'
  return readCount(json[field] === undefined ? merged : json, field, maxPositions)
}

/**
 * The longest sequence that a model with this scaling is meant for, where max_position_embeddings may say either that
 * or the length before scaling. Generous for `linear`, where nothing tells the two apart.
 */
export function ropeMaxSeqLen(rope: RopeConfig, maxPositions: number): number {
  switch (rope.kind) {
    case 'default':
    case 'llama3':
      return maxPositions
    case 'linear':
    case 'dynamic':
      return stretched(maxPositions, rope.factor, maxPositions)
    case 'yarn':
      return stretched(rope.originalMaxSeqLen, rope.factor, maxPositions)
    default:
      throw rope satisfies never
  }
}

function stretched(length: number, factor: number, least: number): number {
  const scaled = Math.max(Math.floor(length * factor), least)
  if (scaled > maxCount) throw configFault('factor', `at most ${maxCount / length}`, factor)
  return scaled
}

function asObject(field: string, value: unknown): JsonObject {
  if (value === undefined || value === null) return {}
  if (typeof value === 'object' && !Array.isArray(value)) return value as JsonObject
  throw configFault(field, 'an object', value)
}
