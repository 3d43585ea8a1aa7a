// A client's FileStore, read by the worker: both ends. Bytes are copied once, by the side that has them.

import { expose, transfer, wrap, type Remote } from 'comlink'
import { invariant, throwIfCancelled } from '../core/errors.ts'
import type { ByteSource, FileStore } from '../core/files.ts'
import { untilCancelled } from '../core/untilCancelled.ts'
import type { Reply, StoreApi, WireFile } from './protocol.ts'
import { replyOf, unwrapReply } from './wireError.ts'

/** Answers for `store` on `port` until either end closes that or the returned function is called; then closes its files. */
export function serveStore(store: FileStore, port: MessagePort): () => void {
  const sources = new Map<number, ByteSource>()
  let nextFile = 0
  let isEnded = false
  const sourceOf = (file: number): ByteSource => {
    const source = sources.get(file)
    invariant(source !== undefined, `open file ${file} of ${store.name}`)
    return source
  }
  const closeFile = async (file: number): Promise<undefined> => {
    const source = sources.get(file)
    sources.delete(file)
    await source?.close?.()
    return undefined
  }
  const api: StoreApi = {
    open: (path) =>
      replyOf(async () => {
        const source = await store.open(path)
        if (source === undefined) return undefined
        const file = nextFile++
        sources.set(file, source)
        if (isEnded) return closeFile(file)
        return { file, name: source.name, size: source.size }
      }),
    async read(file, offset, length) {
      // A copy: bytes may be a view, and cloning a view would clone all that is behind it.
      const reply = await replyOf(async () => (await sourceOf(file).read(offset, length)).slice())
      return reply.ok ? transfer(reply, [reply.value.buffer]) : reply
    },
    close: (file) => replyOf(() => closeFile(file)),
  }
  const end = (): void => {
    isEnded = true
    port.close()
    // Nobody is left to be told of a failure.
    for (const file of sources.keys()) void replyOf(() => closeFile(file))
  }
  expose(api, port)
  // Told by some browsers only, and by Node.
  port.addEventListener('close', end)
  return end
}

export interface RemoteStore extends FileStore {
  /** Closes the port. What is asked of the store, then or before, rejects with engine/cancelled; files are closed. */
  end(): void
}

/** The store that is served at the other end of `port`, which may go away at any time without a word. */
export function remoteStore(name: string, port: MessagePort): RemoteStore {
  const api: Remote<StoreApi> = wrap<StoreApi>(port)
  const ended = new AbortController()
  const open = new Set<ByteSource>()
  const end = (): void => {
    port.close()
    ended.abort()
  }
  const ask = async <T>(call: () => Promise<Reply<T>>, where: string, signal?: AbortSignal): Promise<T> => {
    throwIfCancelled(signal, where)
    throwIfCancelled(ended.signal, where)
    return unwrapReply(await untilCancelled(untilCancelled(call(), where, signal), where, ended.signal))
  }
  port.addEventListener('close', end)
  return {
    name,
    end,
    async open(path) {
      const found = await ask<WireFile | undefined>(() => api.open(path), `${name}/${path}`)
      if (found === undefined) return undefined
      const { file, name: fileName, size } = found
      const source: ByteSource = {
        name: fileName,
        size,
        read: (offset, length, signal) =>
          ask<Uint8Array>(() => api.read(file, offset, length), fileName, signal),
        async close() {
          if (!open.delete(source)) return
          await ask(() => api.close(file), fileName).catch((error: unknown) => {
            // The other side closes its files itself when the port ends.
            if (!ended.signal.aborted) throw error
          })
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
