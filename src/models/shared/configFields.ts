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
const maxCount = 2 ** 26

/** An integer from 1 to `maxCount`. */
export function readCount(json: JsonObject, field: string, fallback?: number): number {
  const value = json[field] ?? fallback
  if (typeof value === 'number' && Number.isInteger(value) && value > 0 && value <= maxCount) return value
  throw configFault(field, `an integer from 1 to ${maxCount}`, value)
}

/** A positive finite number. */
export function readNumber(json: JsonObject, field: string, fallback?: number): number {
  const value = json[field] ?? fallback
  if (typeof value === 'number' && Number.isFinite(value) && value > 0) return value
  throw configFault(field, 'a positive number', value)
}

/** true or false; absent means false. */
export function readFlag(json: JsonObject, field: string): boolean {
  const value = json[field] ?? false
  if (typeof value === 'boolean') return value
  throw configFault(field, 'true or false', value)
}
