// The worker's side of the line: takes clients in and lets them go. Not here: how an engine is made, which the worker's
// entry passes in. Next: hostClient.ts.

import { EnginePool } from './enginePool.ts'
import { HostClient, type CreateEngine } from './hostClient.ts'
import { holderGone, holdLock, type HeldLock, type Locks } from './liveness.ts'
import { protocolVersion, type Connect, type Welcome } from './protocol.ts'

export interface EngineHost {
  /** Takes a message to the worker; ignores what is not a client's first one. */
  onMessage(message: unknown): void
  readonly numClients: number
  readonly numRequests: number
  readonly numEngines: number
}

export function createEngineHost(create: CreateEngine, locks: Locks | undefined): EngineHost {
  const pool = new EnginePool()
  const clients = new Set<HostClient>()
  let lock: Promise<HeldLock> | undefined

  async function welcome(port: MessagePort): Promise<void> {
    lock ??= locks && holdLock(locks)
    port.postMessage({ type: 'accepted', hostLock: (await lock)?.name } satisfies Welcome)
  }

  async function serve({ clientLock, port }: Connect): Promise<void> {
    const ended = new AbortController()
    const client = new HostClient(pool, create, port, () => {
      ended.abort()
      clients.delete(client)
    })
    clients.add(client)
    await welcome(port)
    if (locks === undefined || clientLock === undefined) return
    await holderGone(locks, clientLock, ended.signal)
    await client.dispose()
  }

  return {
    onMessage(message) {
      if (!isConnect(message)) return
      if (message.version === protocolVersion) void serve(message)
      else refuse(message.port)
    },
    get numClients() {
      return clients.size
    },
    get numRequests() {
      return [...clients].reduce((sum, { numRequests }) => sum + numRequests, 0)
    },
    get numEngines() {
      return pool.size
    },
  }
}

function refuse(port: MessagePort): void {
  port.postMessage({ type: 'refused', version: protocolVersion } satisfies Welcome)
  port.close()
}

function isConnect(message: unknown): message is Connect {
  const type = typeof message === 'object' && message !== null && 'type' in message ? message.type : undefined
  return type === ('tabhopper/connect' satisfies Connect['type'])
}
