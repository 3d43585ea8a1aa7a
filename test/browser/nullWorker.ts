// A worker whose engine costs nothing: what is left is the way between page and worker. A chunk's `created` is when it
// was made, in milliseconds of Date; the page has the same clock.

import { createEngineHost } from '../../src/worker/host.ts'
import { createNullEngine } from '../helpers/nullEngine.ts'

const host = createEngineHost(
  // `maxSeqLen` stands for the milliseconds between tokens.
  async (_model, { maxSeqLen }) =>
    createNullEngine({
      beforeToken:
        maxSeqLen === undefined ? undefined : () => new Promise((resolve) => setTimeout(resolve, maxSeqLen)),
    }),
  navigator.locks,
)
addEventListener('message', ({ data }) => host.onMessage(data))
