// Which model a config.json is of. Not here: what becomes of it (index.ts and the families).

import { unsupported, type JsonObject } from './configFields.ts'

/** A class of transformers, and the `model_type` that will do where a configuration lists no `architectures`. */
export interface Architecture {
  readonly architecture: string
  readonly modelType: string
}

/** The one of `known` that a configuration is of. Throws model/unsupported for another one. */
export function architectureOf<Known extends Architecture>(json: JsonObject, known: readonly Known[]): Known {
  const architectures = json['architectures']
  const found = known.find(({ architecture, modelType }) =>
    Array.isArray(architectures) ? architectures.includes(architecture) : json['model_type'] === modelType,
  )
  if (found !== undefined) return found
  const names = known.map(({ architecture }) => architecture)
  throw unsupported(
    'architectures',
    `${names.slice(0, -1).join(', ')} or ${names.at(-1)}`,
    architectures ?? json['model_type'],
    'Use a checkpoint of a supported architecture.',
  )
}
