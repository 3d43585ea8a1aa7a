// What a pass is. Not here: the passes (one file each) and their order (index.ts).

import type { Graph } from '../graph/graph.ts'

/** A pure rewrite of a graph; the result computes the same outputs within the ops' accuracy classes. */
export interface Pass {
  readonly name: string
  run(graph: Graph): Graph
}
