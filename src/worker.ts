// The script of a worker, dedicated or shared: an engine host over the browser's WebGPU. Importing it is all it takes.

import { createLocalEngine } from './browser/localEngine.ts'
import { createEngineHost } from './worker/host.ts'

/** What the two kinds of worker scopes have, as far as it is used. */
type WorkerScope = Pick<EventTarget, 'addEventListener'>

const host = createEngineHost(
  createLocalEngine,
  // Absent without https, whatever the types say.
  navigator.locks,
)
const scope: WorkerScope = globalThis

const onMessage = ({ data }: MessageEvent): void => host.onMessage(data)

scope.addEventListener('message', (event) => onMessage(event as MessageEvent))
scope.addEventListener('connect', (event) => {
  const [port] = (event as MessageEvent).ports
  port?.addEventListener('message', onMessage)
  port?.start()
})
