// The registry of model families. To add one: give it a folder here with a `family.ts`, and list it.

import { llamaFamily } from './llama/family.ts'
import { architectureOf } from './shared/architecture.ts'
import type { JsonObject } from './shared/configFields.ts'
import type { LlmSpec, ModelFamily } from './spec.ts'

const families: readonly ModelFamily[] = [llamaFamily]

const known = families.flatMap((family) =>
  family.architectures.map((architecture) => ({ ...architecture, family })),
)

/**
 * The model that a config.json describes. Throws model/unsupported for an architecture, or a feature of one, that nothing
 * here runs, model/config for a field that cannot be.
 */
export function readLlmSpec(json: JsonObject): LlmSpec {
  return architectureOf(json, known).family.read(json)
}
