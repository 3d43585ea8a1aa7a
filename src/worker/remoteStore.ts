// A client's FileStore, read by the worker: both ends. Bytes are copied once, by the side that has them.

import { expose, transfer, wrap, type Remote } from 'comlink'
import { invariant, throwIfCancelled } from '../core/errors.ts'
import type { ByteSource, FileStore } from '../core/files.ts'
import { untilCancelled } from '../core/untilCancelled.ts'
import type { Reply, StoreApi } from './protocol.ts'
import { replyOf, unwrapReply } from './wireError.ts'

/** Answers for `store` on `port` until that is closed. */
export function serveStore(store: FileStore, port: MessagePort): void {
  const sources = new Map<number, ByteSource>()
  let nextFile = 0
  const sourceOf = (file: number): ByteSource => {
    const source = sources.get(file)
    invariant(source !== undefined, `open file ${file} of ${store.name}`)
    return source
  }
  const api: StoreApi = {
    open: (path) =>
      replyOf(async () => {
        const source = await store.open(path)
        if (source === undefined) return undefined
        const file = nextFile++
        sources.set(file, source)
        return { file, name: source.name, size: source.size }
      }),
    async read(file, offset, length) {
      // A copy: bytes may be a view, and cloning a view would clone all that is behind it.
      const reply = await replyOf(async () => (await sourceOf(file).read(offset, length)).slice())
      return reply.ok ? transfer(reply, [reply.value.buffer]) : reply
    },
    close: (file) =>
      replyOf(async () => {
        await sources.get(file)?.close?.()
        sources.delete(file)
        return undefined
      }),
  }
  expose(api, port)
}

/** The store that is served at the other end of `port`. */
export function remoteStore(name: string, port: MessagePort): FileStore {
  const api: Remote<StoreApi> = wrap<StoreApi>(port)
  const open = new Set<ByteSource>()
  return {
    name,
    async open(path) {
      const found = unwrapReply(await api.open(path))
      if (found === undefined) return undefined
      const { file, name, size } = found
      const source: ByteSource = {
        name,
        size,
        async read(offset, length, signal) {
          throwIfCancelled(signal, name)
          return unwrapReply<Uint8Array>(
            // The other side may be gone.
            await untilCancelled<Reply<Uint8Array>>(api.read(file, offset, length), name, signal),
          )
        },
        async close() {
          if (open.delete(source)) unwrapReply(await api.close(file))
        },
      }
      open.add(source)
      return source
    },
    async close() {
      for (const source of open) await source.close?.()
    },
  }
}
