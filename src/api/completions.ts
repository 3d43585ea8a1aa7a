// The overloads of `create`, for whoever can stream an answer and give it as a whole.

import { isRecord } from '../core/values.ts'
import { checkRequestFields } from './fields.ts'
import { checkSignal, checkTypes, inputFault } from './options.ts'
import type { Completions } from './types.ts'

/** One `create` that streams or not, as the request says; a stream that cannot be asked for faults at once. */
export function completions<Request extends { readonly signal?: AbortSignal }, Whole, Chunk>(
  kind: 'chat' | 'text',
  stream: (request: Request) => AsyncIterable<Chunk>,
  whole: (request: Request) => Promise<Whole>,
): Completions<Request, Whole, Chunk> {
  function create(request: Request & { stream: true }): AsyncIterable<Chunk>
  function create(request: Request & { stream?: false }): Promise<Whole>
  function create(request: Request & { stream?: boolean }): AsyncIterable<Chunk> | Promise<Whole> {
    if (isRecord(request) && request.stream === true) {
      checkRequest(kind, request)
      return stream(request)
    }
    return checkedWhole(request)
  }
  async function checkedWhole(request: Request): Promise<Whole> {
    checkRequest(kind, request)
    return whole(request)
  }
  return { create }
}

/** Throws engine/input where it cannot be told what to do with a request. */
function checkRequest(
  kind: 'chat' | 'text',
  request: { readonly stream?: boolean; readonly signal?: AbortSignal },
): void {
  if (!isRecord(request)) throw inputFault('request', 'an object', request)
  checkTypes(request, 'boolean', ['stream'])
  checkSignal(request.signal)
  checkRequestFields(kind, request)
}
