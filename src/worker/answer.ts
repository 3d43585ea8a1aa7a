// What an engine answers to a request that came over a port. Not here: loading (hostClient.ts).

import type { Completions, Engine } from '../api/types.ts'
import type { HostRequest, Method, Methods, Streamable } from './protocol.ts'

type Push = (item: Methods[Method]['item']) => void

/** Pushes what comes before the end and resolves with the result. */
export async function answer(
  engine: Engine,
  request: Exclude<HostRequest, { method: 'load' }>,
  signal: AbortSignal,
  push: Push,
): Promise<Methods[Method]['result']> {
  switch (request.method) {
    case 'chat':
      return complete(engine.chat.completions, request.params, signal, push)
    case 'completion':
      return complete(engine.completions, request.params, signal, push)
    case 'countTokens':
      return engine.countTokens(request.params.prompt, { signal })
    case 'logits':
      return engine.logits(request.params.tokens, { signal })
    case 'inspectModel':
      return engine.inspect.model()
    case 'kvCache':
      return engine.inspect.kvCache()
    case 'profile':
      return engine.inspect.profile({ ...request.params, signal })
    default:
      return request satisfies never
  }
}

async function complete<Request, Whole, Chunk extends Methods['chat' | 'completion']['item']>(
  completions: Completions<Request, Whole, Chunk>,
  { stream, ...params }: Streamable<Request>,
  signal: AbortSignal,
  push: Push,
): Promise<Whole | undefined> {
  const request = { ...params, signal } as unknown as Request
  if (!stream) return completions.create({ ...request, stream: false })
  for await (const chunk of completions.create({ ...request, stream: true })) push(chunk)
  return undefined
}
