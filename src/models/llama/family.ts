// Llama, Mistral and Qwen2 as the rest of the project knows them: what is in this folder, behind the interface of ../spec.ts.

import type { LlmSpec, ModelFamily } from '../spec.ts'
import { llamaArchitectures, readLlamaConfig, type LlamaConfig } from './config.ts'
import { kvBlockBytes, llamaGraph } from './graph.ts'
import { isRedundant, telltaleWeights } from './weights.ts'

export const llamaFamily: ModelFamily = {
  architectures: llamaArchitectures,
  read: (json) => llamaSpec(readLlamaConfig(json)),
}

export function llamaSpec(config: LlamaConfig): LlmSpec {
  return {
    config,
    graph: (options) => llamaGraph(config, options),
    kvBlockBytes: (options) => kvBlockBytes(config, options),
    telltaleWeights: () => telltaleWeights(config),
    isRedundant: (name) => isRedundant(config, name),
    describe: () => describe(config),
  }
}

function describe(config: LlamaConfig): [name: string, value: string][] {
  const { rope } = config
  const isLess = config.defaultMaxSeqLen < config.maxSeqLen
  const flags = [
    config.tieWordEmbeddings ? 'tied embeddings' : '',
    config.qkvBias ? (config.outputBias ? 'attention biases' : 'query, key and value biases') : '',
    config.mlpBias ? 'MLP biases' : '',
  ].filter((flag) => flag !== '')
  const rows: [name: string, value: string][] = [
    ['vocabulary', String(config.vocabSize)],
    ['layers', String(config.numLayers)],
    ['hidden size', `${config.hiddenSize}, ${config.intermediateSize} inside the MLP`],
    ['heads', `${config.numHeads} of ${config.headDim}, ${config.numKvHeads} for keys and values`],
    [
      'context',
      `${config.maxSeqLen} tokens${isLess ? `, ${config.defaultMaxSeqLen} unless asked for more` : ''}`,
    ],
    ['rotary', `${rope.kind}, theta ${rope.theta}`],
    ['norm eps', String(config.normEps)],
  ]
  if (flags.length > 0) rows.push(['also', flags.join(', ')])
  return rows
}
