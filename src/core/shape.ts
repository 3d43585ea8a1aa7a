// Sizes of tensors whose dims are known. Not here: dims of a step (graph/dim.ts).

/** Elements of a tensor. */
export function elementsOf(shape: readonly number[]): number {
  return shape.reduce((product, dim) => product * dim, 1)
}
