// Tensors of a checkpoint that no plan reads, which is a sign of a configuration that belongs to another one.

import { formatBytes } from '../core/units.ts'
import { exprTensors } from '../graph/weightExpr.ts'
import type { LlmSpec } from '../models/spec.ts'
import type { Plan } from '../plan/types.ts'
import { storedForm, type Checkpoint, type TensorInfo } from '../weights/checkpoint.ts'
import { weightsOf } from './loadWeights.ts'

/** Without those that models of the family carry for nothing. */
export function unusedTensors(
  spec: LlmSpec,
  plans: readonly Plan[],
  { tensors }: Pick<Checkpoint, 'tensors'>,
): TensorInfo[] {
  const used = new Set<string>()
  for (const { expr } of weightsOf(plans).values()) for (const { name } of exprTensors(expr)) used.add(name)
  return [...tensors.values()].filter(({ name }) => !used.has(name) && !spec.isRedundant(name))
}

/** What to tell of unused tensors; undefined where there are none. */
export function unusedNotice(
  unused: readonly TensorInfo[],
  { name, wording }: Pick<Checkpoint, 'name' | 'wording'>,
): string | undefined {
  const [first] = unused
  if (first === undefined) return undefined
  const bytes = unused.reduce((sum, tensor) => sum + storedForm(tensor).bytes, 0)
  const count = unused.length === 1 ? '1 tensor is' : `${unused.length} tensors are`
  const example = wording?.nameInFile(first.name) ?? first.name
  return `${name}: ${count} not used (${formatBytes(bytes)}), such as ${example}. Check that the configuration belongs to these weights.`
}
