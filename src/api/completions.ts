// The overloads of `create`, for whoever can stream an answer and give it as a whole.

import type { Completions } from './types.ts'

/** One `create` that streams or not, as the request says. */
export function completions<Request, Whole, Chunk>(
  stream: (request: Request) => AsyncIterable<Chunk>,
  whole: (request: Request) => Promise<Whole>,
): Completions<Request, Whole, Chunk> {
  function create(request: Request & { stream: true }): AsyncIterable<Chunk>
  function create(request: Request & { stream?: false }): Promise<Whole>
  function create(request: Request & { stream?: boolean }): AsyncIterable<Chunk> | Promise<Whole> {
    return request.stream === true ? stream(request) : whole(request)
  }
  return { create }
}
