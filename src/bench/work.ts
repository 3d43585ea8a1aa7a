// What a step must do at least: bytes of weights that it reads, multiplications and additions. Counted from plans
// and graphs, never measured.

import { evalDim, numElements, type Dim, type DimEnv } from '../graph/dim.ts'
import { valueOf, type Graph, type Op } from '../graph/graph.ts'
import type { Plan } from '../plan/types.ts'

/** Bytes of the model's weights that one step reads whole: not the embedding's rows, nor tables made on the host. */
export function weightBytesOf({ buffers, dispatches }: Plan): number {
  const read = new Set(
    dispatches
      .filter(({ op }) => op !== 'embedding')
      .flatMap(({ bindings }) => bindings.map(({ buffer }) => buffer)),
  )
  return buffers
    .filter((buffer) => buffer.role === 'weight' && buffer.expr.kind !== 'table' && read.has(buffer.id))
    .reduce((total, { bytes }) => total + bytes, 0)
}

/** Floating-point operations of a prefill of `numTokens` tokens with logits of the last one. */
export function prefillFlops(graph: Graph, numTokens: number): number {
  const dims = { T: numTokens, S: 1, R: 1 }
  return graph.ops.reduce((total, op) => total + (opFlops(graph, op, dims, numTokens) ?? 0), 0)
}

/**
 * Floating-point operations of one op, in a step of one sequence that ends with `contextTokens` tokens in the cache.
 * Undefined for ops that only move or map.
 */
export function opFlops(graph: Graph, op: Op, dims: DimEnv, contextTokens: number): number | undefined {
  switch (op.kind) {
    case 'linear': {
      const shapeOf = (name: string): readonly Dim[] => valueOf(graph, op.inputs[name]!).shape
      // A gated one has twice as many rows of w as columns of y.
      return 2 * numElements(shapeOf('x'), dims) * evalDim(shapeOf('w')[0]!, dims)
    }
    case 'attention': {
      const { numHeads, headDim } = op.attrs
      const { T } = dims
      // Scores and weighted sums, each over the keys up to the token's own.
      return 4 * numHeads * headDim * T * (contextTokens - (T - 1) / 2)
    }
    default:
      return undefined
  }
}
