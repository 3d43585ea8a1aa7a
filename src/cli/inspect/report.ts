// An inspection as text for a person. Decoder layers are alike, so only the first is written out; JSON has all.

import { formatBytes } from '../../core/units.ts'
import { printGraph } from '../../graph/print.ts'
import { printPlan } from '../../plan/print.ts'
import { storedForm, type TensorInfo } from '../../weights/checkpoint.ts'
import type { Environment, OutputStream } from '../deps.ts'
import { coloursFor, formatCount, table } from '../terminal.ts'
import type { Inspection } from './inspection.ts'

export function inspectReport(inspection: Inspection, stdout: OutputStream, env: Environment): string {
  const { model, numParameters, numUnused, plan, memory, dtype, maxSeqLen, limitsOf } = inspection
  const { bold, dim } = coloursFor(stdout, env)
  const { config, spec, checkpoint } = model
  const section = (title: string, note: string, lines: readonly string[]): string =>
    [`${bold(title)}${note === '' ? '' : ` ${dim(note)}`}`, ...lines.map((line) => `  ${line}`)].join('\n')
  const tensors = [...checkpoint.tensors.values()]
  return [
    `${bold(model.name)}  ${formatCount(numParameters)} parameters, ${formatBytes(checkpoint.totalBytes)} on disk`,
    section('Configuration', '', table(spec.describe())),
    section(
      'Tensors',
      `${tensors.length}${numUnused === 0 ? '' : `, ${numUnused} of them not used`}`,
      firstLayer(table(tensors.map(tensorRow), [3]), config.numLayers),
    ),
    section(
      'Graph',
      `${plan.graph.ops.length} ops after passes`,
      firstLayer(printGraph(plan.graph).split('\n'), config.numLayers),
    ),
    section(
      'Plan',
      `${plan.dispatches.length} dispatches within the limits of ${limitsOf}`,
      firstLayer(printPlan(plan).split('\n'), config.numLayers),
    ),
    section(
      'Memory',
      `${dtype}, sequences of up to ${maxSeqLen} tokens`,
      table(
        [
          ['weights', formatBytes(memory.weightBytes)],
          ['KV cache', formatBytes(memory.stateBytes)],
          ['arena', formatBytes(memory.arenaBytes)],
          ['step buffers', formatBytes(memory.stepBytes + memory.readbackBytes)],
          ['total', bold(formatBytes(memory.totalBytes))],
        ],
        [1],
      ),
    ),
  ].join('\n\n')
}

function tensorRow(tensor: TensorInfo): string[] {
  const { type, bytes } = storedForm(tensor)
  return [tensor.name, type, `[${tensor.shape.join(', ')}]`, formatBytes(bytes)]
}

/** Leaves out lines about layers after the first, and says where. */
function firstLayer(lines: readonly string[], numLayers: number): string[] {
  const others = numLayers === 2 ? 'layer 1' : `layers 1 to ${numLayers - 1}`
  const kept: string[] = []
  let isLeavingOut = false
  for (const line of lines) {
    const isLater = /\blayers\.[1-9]/.test(line) && !/\blayers\.0\./.test(line)
    if (!isLater) kept.push(line)
    else if (!isLeavingOut) kept.push(`… ${others} alike`)
    isLeavingOut = isLater
  }
  return kept
}
