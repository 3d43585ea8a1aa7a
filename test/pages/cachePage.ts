// What test/pages/cacheSite/app.js offers to tests.

import type { Engine, LoadProgress, ModelCache } from '../../src/index.ts'

export interface Loaded {
  readonly progress: LoadProgress[]
  readonly notices: string[]
  /** When each phase began, in milliseconds since navigation. */
  readonly marks: Readonly<Record<string, number>>
}

declare global {
  var loadModel: (options: object) => Promise<Loaded>
  var loadedEngine: Engine
  var greedyTokens: (
    prompt: string | readonly number[],
    count: number,
  ) => Promise<{ tokens: number[]; firstAt: number }>
  var weightCache: ModelCache
  /** When the library was there. */
  var scriptAt: number
}
