// What the rest of the project knows of a model: the LlmSpec that a ModelFamily reads from a config.json.
// Not here: the families, which have a folder each, and which there are (index.ts).

import type { Graph } from '../graph/graph.ts'
import type { FloatDType } from '../graph/opDef.ts'
import type { WeightExpr } from '../graph/weightExpr.ts'
import type { Architecture } from './shared/architecture.ts'
import type { JsonObject } from './shared/configFields.ts'

/** What the configuration of every language model says; a family's own says more. */
export interface LlmConfig {
  readonly vocabSize: number
  readonly numLayers: number
  /** Longest sequence that the model serves exactly. */
  readonly maxSeqLen: number
  /** Longest sequence unless asked for more, where serving longer ones changes what shorter ones get; else the same. */
  readonly defaultMaxSeqLen: number
}

export interface LlmGraphOptions {
  /** Of weights, activations and the KV cache; the residual stream and the logits stay f32. */
  readonly dtype: FloatDType
  /** Longest sequence: rows of the rotary table, and blocks of a block table. */
  readonly maxSeqLen: number
  readonly blockSize: number
  readonly numBlocks: number
  /** Rows of the `sampled` state. */
  readonly maxNumSeqs: number
  /** `sample` ends in token ids that stay on the device; `logits` returns rows of logits. */
  readonly head: 'sample' | 'logits'
}

/** A language model as its configuration has it: everything but the weights. */
export interface LlmSpec {
  readonly config: LlmConfig
  /** The forward pass over one step, written plainly. Its inputs are those that the engine fills in for every family. */
  graph(options: LlmGraphOptions): Graph
  /** Bytes that a block of the KV cache takes in the keys of a layer, and as many in its values. */
  kvBlockBytes(options: Pick<LlmGraphOptions, 'dtype' | 'blockSize'>): number
  /** Tensors that tell whether a checkpoint has the sizes of the configuration, however many layers that claims. */
  telltaleWeights(): readonly WeightExpr[]
  /** Whether checkpoints may carry a tensor of this name although no graph reads it: what it says is known without it. */
  isRedundant(name: string): boolean
  /** The configuration for a person: names and values. */
  describe(): readonly (readonly [name: string, value: string])[]
}

export interface ModelFamily {
  /** What its configurations call themselves. */
  readonly architectures: readonly Architecture[]
  /** Throws model/unsupported for what no model of the family here does, model/config for a field that cannot be. */
  read(json: JsonObject): LlmSpec
}
