// What is told of names that no kind of model has, on every platform. Not here: which kinds there are (node/modelSource.ts,
// browser/modelSource.ts).

import { RuntimeFault } from '../core/errors.ts'
import { shown } from '../core/values.ts'

/** Throws engine/input for a name that can be neither a path nor an address nor a hub id. */
export function checkModelName(name: string): void {
  if (name.trim() === '') throw nameFault('a name', name, 'Give one.')
  if (name.startsWith('synthetic:')) {
    throw nameFault(
      'a model with trained weights',
      name,
      'Synthetic models have random weights, and only `tabhopper bench` runs them.',
    )
  }
  const [, scheme] = /^([a-z][\w+.-]*):\/\//i.exec(name) ?? []
  if (scheme === undefined) return
  const isFile = scheme.toLowerCase() === 'file'
  throw nameFault(
    'a path, a hub id, or an http or https address',
    name,
    isFile ? 'Give the path alone.' : 'Give its https address, or fetch it and give the files.',
  )
}

function nameFault(expected: string, got: string, fix: string): RuntimeFault {
  return new RuntimeFault('engine/input', { where: 'model', expected, got: shown(got), fix })
}
