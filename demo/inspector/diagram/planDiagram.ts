// A plan as a diagram: dispatches in the order in which they run, with the buffers that they read and write as chips.

import type { PlanInspection } from '../../shared/engine.ts'
import { shortName } from '../names.ts'
import { groupByLayer, type Chip, type ChipKind, type Diagram } from './diagram.ts'

export function planDiagram({ dispatches, buffers }: PlanInspection): Diagram {
  const { groups, places } = groupByLayer(dispatches.map(({ origin }) => origin))
  const nodes = dispatches.map(({ variant, op, grid, bindings }, index) => {
    const bound = bindings.map(({ buffer, access }) => ({ ...buffers[buffer]!, access }))
    const own = (role: (typeof bound)[number]['role']): typeof bound =>
      bound.filter((buffer) => buffer.role === role)
    const named = (kind: ChipKind, labels: readonly string[]): Chip[] =>
      labels.length === 0 ? [] : [{ kind, label: [...new Set(labels)].join(', ') }]
    return {
      ...places[index]!,
      title: variant,
      op,
      lines: [`${grid.join(' × ')} workgroups`],
      chips: [
        ...named(
          'weight',
          own('weight').map(({ label }) => shortName(label)),
        ),
        ...named(
          'state',
          own('state').map(({ label }) => shortName(label)),
        ),
        ...named('arena', arenaFlow(own('arena'))),
      ],
    }
  })
  const edges = dispatches.slice(1).map((_, index) => {
    return { from: index, to: index + 1, kind: 'order', key: index } as const
  })
  return { groups, nodes, edges }
}

/** `arena0 → arena1` */
function arenaFlow(
  buffers: readonly { readonly label: string; readonly access: 'read' | 'read_write' }[],
): string[] {
  const names = (access: 'read' | 'read_write'): string =>
    buffers
      .filter((buffer) => buffer.access === access)
      .map(({ label }) => label)
      .join(', ')
  const [read, written] = [names('read'), names('read_write')]
  if (read === '' && written === '') return []
  return [[read, written === '' ? '' : `→ ${written}`].filter((part) => part !== '').join(' ')]
}
