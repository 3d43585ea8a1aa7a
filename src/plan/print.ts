// Plan → text, and the sums of its memory: what `tabhopper inspect` shows and snapshots compare.

import { printDim } from '../graph/dim.ts'
import type { Plan, PlanBuffer } from './types.ts'

export type MemorySums = Readonly<Record<PlanBuffer['role'], number>>

/** Bytes by role; weights that plans share count once in each plan. */
export function memoryOf(plan: Plan): MemorySums {
  const sums: Record<PlanBuffer['role'], number> = { weight: 0, state: 0, arena: 0, step: 0 }
  for (const { role, bytes } of plan.buffers) sums[role] += bytes
  return sums
}

/** `qkv_proj  linear_tile  2×16×1  read b3+0, read b7+0, read_write b12+0` */
export function printPlan(plan: Plan): string {
  const { T, S, R } = plan.maxima
  const lines = [`plan ${plan.graph.name} for T ≤ ${T}, S ≤ ${S}, R ≤ ${R}`]
  for (const field of plan.step.fields)
    lines.push(`step +${field.offset * 4} ${field.name}: ${field.capacity} words`)
  for (const { id, role, label, bytes } of plan.buffers) lines.push(`b${id} ${role} ${label}: ${bytes} bytes`)
  for (const dispatch of plan.dispatches) {
    const bindings = dispatch.bindings
      .map(({ access, buffer, offset }) => `${access} b${buffer}+${offset}`)
      .join(', ')
    lines.push(
      `${dispatch.variant}  [${dispatch.grid.map(printDim).join(', ')}]  ${bindings}  # ${dispatch.origin}`,
    )
  }
  for (const [name, { buffer }] of Object.entries(plan.outputs)) lines.push(`return ${name} = b${buffer}`)
  return lines.join('\n')
}
