// Reads single fields of a config.json, with faults that name them. Not here: any model's own rules.

import { RuntimeFault } from '../../core/errors.ts'

export type JsonObject = Readonly<Record<string, unknown>>

/** A model/config fault about one field. */
export function configFault(field: string, expected: string, got: unknown): RuntimeFault {
  return new RuntimeFault('model/config', {
    where: `config.json ${field}`,
    expected,
    got: JSON.stringify(got) ?? 'nothing',
    fix: 'Use the config.json that came with the weights.',
  })
}

/** Sizes beyond this are mistakes or attacks: products of two still fit a safe integer. */
export const maxCount: number = 2 ** 26

/** A model/unsupported fault: the checkpoint is sound, but nothing here runs it. */
export function unsupported(field: string, expected: string, got: unknown, fix: string): RuntimeFault {
  const where = `config.json ${field}`
  return new RuntimeFault('model/unsupported', {
    where,
    expected,
    got: JSON.stringify(got) ?? 'nothing',
    fix,
  })
}

/** An integer from 1 to `most`, by default `maxCount`. */
export function readCount(
  json: JsonObject,
  field: string,
  fallback?: number,
  most: number = maxCount,
): number {
  const value = json[field] ?? fallback
  if (typeof value === 'number' && Number.isInteger(value) && value > 0 && value <= most) return value
  throw configFault(field, `an integer from 1 to ${most}`, value)
}

/** An integer from 0 to `maxCount`. */
export function readIndex(json: JsonObject, field: string, fallback: number): number {
  return json[field] === 0 ? 0 : readCount(json, field, fallback)
}

/** A positive finite number. */
export function readNumber(json: JsonObject, field: string, fallback?: number): number {
  const value = json[field] ?? fallback
  if (typeof value === 'number' && Number.isFinite(value) && value > 0) return value
  throw configFault(field, 'a positive number', value)
}

/** A positive finite number, or undefined where the field is absent. */
export function readOptionalNumber(json: JsonObject, field: string): number | undefined {
  return (json[field] ?? undefined) === undefined ? undefined : readNumber(json, field)
}

/** true or false. */
export function readFlag(json: JsonObject, field: string, fallback = false): boolean {
  const value = json[field] ?? fallback
  if (typeof value === 'boolean') return value
  throw configFault(field, 'true or false', value)
}
