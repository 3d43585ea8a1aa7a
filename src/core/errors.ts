// The one error class of the project and the helpers that build it.
// Not here: recovery. Callers branch on `code`, never on the message.

/** Stable identifiers of everything that can go wrong; the part before the slash is the folder that found it. */
export type FaultCode =
  | 'cli/usage'
  | 'device/adapter'
  | 'device/feature'
  | 'device/limit'
  | 'device/lost'
  | 'device/memory'
  | 'device/shader'
  | 'device/validation'
  | 'engine/cancelled'
  | 'engine/context'
  | 'engine/disposed'
  | 'engine/input'
  | 'engine/memory'
  | 'engine/overflow'
  | 'file/access'
  | 'file/changed'
  | 'file/format'
  | 'file/hash'
  | 'file/io'
  | 'file/network'
  | 'graph/dtype'
  | 'graph/shape'
  | 'graph/structure'
  | 'internal'
  | 'kernel/unsupported'
  | 'model/config'
  | 'model/unsupported'
  | 'plan/alias'
  | 'plan/limit'
  | 'text/template'
  | 'text/tokenizer'
  | 'weights/dtype'
  | 'weights/format'
  | 'weights/header'
  | 'weights/missing'
  | 'weights/range'
  | 'weights/shape'
  | 'worker/failed'
  | 'worker/protocol'

/** The parts of a fault's message. */
export interface FaultDetail {
  /** The object in question: a tensor name, a file, a model path. */
  where: string
  /** What was to be: a shape, a range, a kind of file. */
  expected: string
  /** What was there instead. */
  got: string
  /** One sentence that tells what to do. */
  fix: string
  /** The error beneath, where there is one. */
  cause?: unknown
}

/** Every error that leaves the library. The message reads `[code] where: expected X, got Y. Do Z.` */
export class RuntimeFault extends Error {
  /** What kind of fault it is; callers branch on it. */
  readonly code: FaultCode
  /** The object in question: a tensor name, a file, an option. */
  readonly where: string

  constructor(code: FaultCode, detail: FaultDetail) {
    super(
      `[${code}] ${detail.where}: expected ${detail.expected}, got ${detail.got}. ${detail.fix}`,
      'cause' in detail ? { cause: detail.cause } : undefined,
    )
    this.name = 'RuntimeFault'
    this.code = code
    this.where = detail.where
  }
}

/** Throws `internal:` when one of our own assumptions is broken; never for bad input. */
export function invariant(condition: unknown, message: string): asserts condition {
  if (!condition) {
    throw new RuntimeFault('internal', {
      where: message,
      expected: 'this to hold',
      got: 'a broken assumption',
      fix: 'This is a bug in tabhopper; please report it.',
    })
  }
}

/** Throws an AbortError-like fault if the signal has fired. */
export function throwIfCancelled(signal: AbortSignal | undefined, where: string): void {
  if (signal?.aborted === true) throw cancelled(where, signal.reason)
}

/** The fault of a request or load that its caller cancelled. `name` is `AbortError`, as with fetch. */
export function cancelled(where: string, cause?: unknown): RuntimeFault {
  const fault = new RuntimeFault('engine/cancelled', cancelledDetail(where, cause))
  fault.name = 'AbortError'
  return fault
}

/** What such a fault says. */
export function cancelledDetail(where: string, cause: unknown): FaultDetail {
  return {
    where,
    expected: 'to finish',
    got: 'a cancellation',
    fix: 'Call again without aborting the signal.',
    cause,
  }
}
