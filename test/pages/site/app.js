// Loads the built library without a bundler and keeps it where a test can reach it.
import { createEngine } from './dist/index.js'

globalThis.load = async (options) => {
  globalThis.engine = await createEngine({
    model: './models/tiny-llama',
    dtype: 'f32',
    maxSeqLen: 128,
    maxNumSeqs: 2,
    maxNumBatchedTokens: 64,
    ...options,
  })
}

globalThis.complete = async (options) => {
  const request = { prompt: 'Once upon a time', temperature: 0, max_tokens: 16, ...options }
  const { id, choices } = await globalThis.engine.completions.create(request)
  return { id, tokens: choices[0].tokens }
}

globalThis.isReady = true
