// Loads models from another server, and keeps what a load told where a test can reach it.
import { createEngine, modelCache } from './dist/index.js'

globalThis.weightCache = modelCache()

/** With `until`, stops when that phase begins. */
globalThis.loadModel = async ({ until, ...options }) => {
  const stopping = new AbortController()
  const progress = []
  const notices = []
  const marks = {}
  const loading = createEngine({
    dtype: 'f32',
    maxSeqLen: 128,
    maxNumSeqs: 2,
    maxNumBatchedTokens: 64,
    onProgress(report) {
      marks[report.phase] ??= performance.now()
      progress.push(report)
      if (report.phase === until) stopping.abort()
    },
    onNotice: (message) => notices.push(message),
    signal: stopping.signal,
    ...options,
  })
  globalThis.loadedEngine = await loading.catch((error) => {
    if (!stopping.signal.aborted) throw error
  })
  return { progress, notices, marks }
}

/** Greedy tokens, and when the first one came. */
globalThis.greedyTokens = async (prompt, count) => {
  const tokens = []
  let firstAt
  const request = { prompt, temperature: 0, max_tokens: count, stream: true }
  for await (const { choices } of globalThis.loadedEngine.completions.create(request)) {
    firstAt ??= performance.now()
    tokens.push(...(choices[0]?.tokens ?? []))
  }
  return { tokens, firstAt }
}

globalThis.scriptAt = performance.now()
globalThis.isReady = true
