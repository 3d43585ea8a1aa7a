// A tiny Llama for tests of the compiler: its configuration, its graph, the graph with random weights inside it, and
// the values of a step with two sequences (one decoding, one prefilling). Not a golden: those come from PyTorch.

import type { Graph, Value } from '../../../src/graph/graph.ts'
import type { DimEnv } from '../../../src/graph/dim.ts'
import { exprShape, type WeightExpr } from '../../../src/graph/weightExpr.ts'
import type { LlamaConfig } from '../../../src/models/llama/config.ts'
import { llamaSpec } from '../../../src/models/llama/family.ts'
import { llamaGraph } from '../../../src/models/llama/graph.ts'
import type { LlmGraphOptions, LlmSpec } from '../../../src/models/spec.ts'
import type { StepValues } from '../../../src/plan/stepLayout.ts'
import type { Capabilities } from '../../../src/plan/types.ts'
import { seededRandom } from '../../helpers/random.ts'
import { tableOf } from '../../helpers/tableOf.ts'

export const tinyConfig: LlamaConfig = {
  vocabSize: 24,
  hiddenSize: 16,
  intermediateSize: 20,
  numLayers: 2,
  numHeads: 4,
  numKvHeads: 2,
  headDim: 4,
  maxSeqLen: 32,
  defaultMaxSeqLen: 32,
  normEps: 1e-5,
  rope: { kind: 'default', theta: 10_000 },
  tieWordEmbeddings: false,
  qkvBias: false,
  outputBias: false,
  mlpBias: false,
}

export const tinySpec: LlmSpec = llamaSpec(tinyConfig)

const tinyOptions: LlmGraphOptions = {
  dtype: 'f32',
  maxSeqLen: 16,
  blockSize: 4,
  numBlocks: 6,
  maxNumSeqs: 3,
  head: 'logits',
}

export function tinyLlama(config: Partial<LlamaConfig> = {}, options: Partial<LlmGraphOptions> = {}): Graph {
  return llamaGraph({ ...tinyConfig, ...config }, { ...tinyOptions, ...options })
}

/** The same graph with every checkpoint tensor replaced by a table of random numbers of the same shape. */
export function withRandomWeights(graph: Graph): Graph {
  const values = graph.values.map((value): Value => {
    if (value.source.kind !== 'weight' || value.source.expr.kind !== 'tensor') return value
    return {
      ...value,
      source: { kind: 'weight', expr: randomTable(value.source.expr.name, value.source.expr) },
    }
  })
  return { ...graph, values }
}

/** A table that depends on its name only; norms' weights are around one. */
function randomTable(name: string, of: WeightExpr): WeightExpr {
  const shape = exprShape(of)
  const seed = Array.from(name).reduce((sum, letter) => (Math.imul(sum, 31) + letter.charCodeAt(0)) >>> 0, 7)
  const length = shape.reduce((product, dim) => product * dim, 1)
  const offset = name.includes('norm') ? 1 : 0
  return tableOf(name, shape, () =>
    seededRandom(seed)
      .normals(length, 0.3)
      .map((value) => value + offset),
  )
}

/** Sequence 0 decodes its token 0; sequence 1 prefills five tokens. One row of logits each. */
export const tinyDims: DimEnv = { T: 6, S: 2, R: 2 }

export const tinyStep: StepValues = {
  tokenSource: [0, 3, 0, 7, 0, 1, 0, 23, 0, 11, 0, 7],
  positions: [0, 0, 1, 2, 3, 4],
  slotMapping: [4, 8, 9, 10, 11, 20],
  cuSeqlensQ: [0, 1, 6],
  contextLens: [1, 5],
  blockTables: [1, 0, 0, 0, 2, 5, 0, 0],
  logitsRows: [0, 5],
}

/** What WebGPU guarantees everywhere, but native f16. */
export const minimalCapabilities: Capabilities = {
  subgroups: false,
  nativeF16: false,
  maxInvocationsPerWorkgroup: 256,
  maxWorkgroupBytes: 16_384,
  maxWorkgroupsPerDimension: 65_535,
  adapterClass: 'software',
  maxBindingBytes: 128 * 2 ** 20,
  maxBufferBytes: 256 * 2 ** 20,
  bindingAlignment: 256,
}
