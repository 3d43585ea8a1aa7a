// Rotary scaling of a GGUF file → transformers' `rope_scaling`. Linear and YaRN are metadata; llama3's parameters are
// not in the file, only the divisors that llama.cpp computed from them (`rope_freqs.weight`), so they are solved for.
import { field, readCount, readNumber, unsupported, whereOf, type Fields } from './fields.ts'
import { shownValue } from './header.ts'

interface Llama3Scaling {
  readonly rope_type: 'llama3'
  readonly factor: number
  readonly low_freq_factor: number
  readonly high_freq_factor: number
  readonly original_max_position_embeddings: number
}

/** `undefined` for plain rotary embedding. Throws `model/unsupported` for what transformers' names cannot express. */
export function ropeScaling(
  fields: Fields,
  ropeFactors: Float32Array | undefined,
  theta: number,
  headDim: number,
): Readonly<Record<string, unknown>> | undefined {
  const named = namedScaling(fields)
  if (ropeFactors === undefined || ropeFactors.every((factor) => factor === 1)) return named
  const where = `${fields.file}: rope_freqs.weight`
  if (named !== undefined)
    throw unsupported(where, 'one rotary scaling', `another of type ${named.rope_type}`)
  if (ropeFactors.length !== headDim / 2) {
    throw unsupported(where, `${headDim / 2} factors`, String(ropeFactors.length))
  }
  const llama3 = solveLlama3(ropeFactors, theta)
  if (llama3 !== undefined) return { ...llama3 }
  throw unsupported(where, 'factors that parameters of llama3 scaling give', 'others')
}

function namedScaling(fields: Fields): { rope_type: string; [field: string]: unknown } | undefined {
  const isLegacy = field(fields, 'rope.scaling.type') === undefined
  const legacyFactor = field(fields, 'rope.scale_linear')
  const type =
    isLegacy && legacyFactor !== undefined ? 'linear' : (field(fields, 'rope.scaling.type') ?? 'none')
  const factor = (): number =>
    readNumber(fields, legacyFactor === undefined ? 'rope.scaling.factor' : 'rope.scale_linear')
  switch (type) {
    case 'none':
      return undefined
    case 'linear':
      return factor() === 1 ? undefined : { rope_type: 'linear', factor: factor() }
    case 'yarn': {
      // transformers would need the product of this and a function of the factor.
      const attentionFactor = field(fields, 'rope.scaling.attn_factor') ?? 1
      if (attentionFactor !== 1)
        throw unsupported(whereOf(fields, 'rope.scaling.attn_factor'), '1', shownValue(attentionFactor))
      return {
        rope_type: 'yarn',
        factor: factor(),
        original_max_position_embeddings: readCount(fields, 'rope.scaling.original_context_length'),
      }
    }
    default:
      throw unsupported(whereOf(fields, 'rope.scaling.type'), 'none, linear or yarn', shownValue(type))
  }
}

/** What Llama 3.1 to 3.3 have; files with too few frequencies between the bands determine nothing else. */
const usual = { low_freq_factor: 1, high_freq_factor: 4, original_max_position_embeddings: 8192 }

/** Parameters whose divisors are those of the file to f32 rounding. */
function solveLlama3(factors: Float32Array, theta: number): Llama3Scaling | undefined {
  // The longest wavelength is scaled in full.
  const factor = rounded(factors.at(-1)!)
  const candidates = [{ rope_type: 'llama3' as const, factor, ...usual }, fitBlend(factors, theta, factor)]
  return candidates.find((candidate) => candidate !== undefined && gives(candidate, factors, theta))
}

/**
 * Between the bands, 1/divisor = (1 − s)/factor + s with s = original/(high − low) · 1/wavelength − low/(high − low): a line
 * through two frequencies. It fixes the three parameters up to a common scale, which has no effect; low is set to 1.
 */
function fitBlend(factors: Float32Array, theta: number, factor: number): Llama3Scaling | undefined {
  const points = [...factors]
    .map((divisor, i) => ({ divisor, x: 1 / wavelength(i, factors.length, theta) }))
    .filter(({ divisor }) => divisor > 1 && divisor < factor * (1 - 1e-6))
    .map(({ divisor, x }) => ({ x, smooth: (1 / divisor - 1 / factor) / (1 - 1 / factor) }))
  const [first, last] = [points[0], points.at(-1)]
  if (first === undefined || last === undefined || first === last) return undefined
  const slope = (first.smooth - last.smooth) / (first.x - last.x)
  const intercept = slope * first.x - first.smooth
  if (!(slope > 0 && intercept > 0)) return undefined
  return {
    rope_type: 'llama3',
    factor,
    low_freq_factor: 1,
    high_freq_factor: rounded((1 + intercept) / intercept),
    original_max_position_embeddings: Math.round(slope / intercept),
  }
}

function gives(scaling: Llama3Scaling, factors: Float32Array, theta: number): boolean {
  return factors.every((actual, i) => {
    const expected = llama3Divisor(scaling, wavelength(i, factors.length, theta))
    return Math.abs(actual - expected) <= 1e-4 * expected
  })
}

function llama3Divisor(scaling: Llama3Scaling, wavelength: number): number {
  const { factor, low_freq_factor: low, high_freq_factor: high } = scaling
  const rotations = scaling.original_max_position_embeddings / wavelength
  if (rotations > high) return 1
  if (rotations < low) return factor
  const smooth = (rotations - low) / (high - low)
  return 1 / ((1 - smooth) / factor + smooth)
}

function wavelength(i: number, numFrequencies: number, theta: number): number {
  return 2 * Math.PI * theta ** (i / numFrequencies)
}

/** Without the noise of f32. */
function rounded(value: number): number {
  return Number(value.toPrecision(5))
}
