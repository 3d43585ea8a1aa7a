// `tabhopper/node` as samples see it: engines compute on the reference device, which every machine has.

import { createEngine as createNodeEngine, type Engine, type NodeEngineOptions } from '../../../src/node.ts'

export * from '../../../src/node.ts'

export const createEngine = (options: NodeEngineOptions): Promise<Engine> =>
  createNodeEngine({ device: 'reference', ...options })
