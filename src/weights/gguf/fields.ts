// Reads single fields of an architecture's GGUF metadata, with faults that name them.
// Not here: what a configuration is made of (config.ts, ropeScaling.ts).
import { RuntimeFault } from '../../core/errors.ts'
import { shownValue, type GgufMetadata, type GgufValue } from './header.ts'
import type { GgufArchitecture } from './names.ts'

/** The metadata of one architecture, by keys without its prefix. */
export interface Fields {
  /** For errors. */
  readonly file: string
  readonly metadata: GgufMetadata
  readonly architecture: GgufArchitecture
}

/** Sizes beyond this are mistakes or attacks. */
const maxCount = 2 ** 26

/** The value of `<architecture>.<key>`, if the file has it. */
export function field({ metadata, architecture }: Fields, key: string): GgufValue | undefined {
  return metadata.get(`${architecture}.${key}`)
}

/** An integer from 1 to `maxCount`. Throws `model/config` otherwise, as the others here do. */
export function readCount(fields: Fields, key: string, fallback?: number): number {
  return checkedCount(fields, key, field(fields, key) ?? fallback)
}

/** As `readCount`; the file may give a number for every layer, which must be the same then. */
export function readPerLayerCount(fields: Fields, key: string, fallback?: number): number {
  const value = field(fields, key)
  if (!Array.isArray(value)) return readCount(fields, key, fallback)
  const [first, ...others] = value as readonly GgufValue[]
  const different = others.find((other) => other !== first)
  if (different === undefined) return checkedCount(fields, key, first)
  throw unsupported(
    whereOf(fields, key),
    'the same in all layers',
    `${shownValue(first)} and ${shownValue(different)}`,
  )
}

function checkedCount(fields: Fields, key: string, value: GgufValue | undefined): number {
  if (typeof value === 'number' && Number.isInteger(value) && value > 0 && value <= maxCount) return value
  throw configFault(whereOf(fields, key), `an integer from 1 to ${maxCount}`, value)
}

/** A positive number. Files have f32 ones, which become the shortest decimal that means the same f32: 1e-5. */
export function readNumber(fields: Fields, key: string, fallback?: number): number {
  const value = field(fields, key) ?? fallback
  if (typeof value !== 'number' || !Number.isFinite(value) || value <= 0) {
    throw configFault(whereOf(fields, key), 'a positive number', value)
  }
  for (let digits = 1; digits < 9; digits++) {
    const short = Number(value.toPrecision(digits))
    if (Math.fround(short) === value) return short
  }
  return value
}

/** The field, for errors. */
export function whereOf({ file, architecture }: Fields, key: string): string {
  return `${file}: ${architecture}.${key}`
}

function configFault(where: string, expected: string, got: GgufValue | undefined): RuntimeFault {
  return new RuntimeFault('model/config', {
    where,
    expected,
    got: shownValue(got),
    fix: 'Convert the model again with a current llama.cpp.',
  })
}

/** A `model/unsupported` fault. */
export function unsupported(where: string, expected: string, got: string): RuntimeFault {
  return new RuntimeFault('model/unsupported', {
    where,
    expected,
    got,
    fix: 'Use a model of a supported architecture.',
  })
}
