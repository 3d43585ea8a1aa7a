// Where bytes come from: one file with random access (ByteSource) and a model folder (FileStore).
// Not here: the disk, HTTP or browser files. Entries inject those; only the in-memory store is built in.
import { RuntimeFault, throwIfCancelled } from './errors.ts'
import { isRecord, shown } from './values.ts'

/** Random access to one file. */
export interface ByteSource {
  /** For error messages. */
  readonly name: string
  /** Bytes. */
  readonly size: number
  /**
   * Exactly `length` bytes from `offset`; the caller stays inside `size`. The bytes are the caller's only to read, and
   * may lie in `into` where that has room for them; a source may as well ignore it.
   */
  read(offset: number, length: number, signal?: AbortSignal, into?: Uint8Array): Promise<Uint8Array>
  /**
   * Compares the whole file with its hash, where that is known and was not compared yet; what was not read is read for it.
   * Throws `file/hash`, or `file/changed` where a part came twice and differs.
   */
  verify?(signal?: AbortSignal): Promise<void>
  /** Frees what `open` took. Idempotent; a read after it fails. */
  close?(): Promise<void>
}

/** A model folder: named files. */
export interface FileStore {
  /** For error messages, and what the model is called. */
  readonly name: string
  /** `undefined` when the file is absent. `path` is relative, with forward slashes. */
  open(path: string): Promise<ByteSource | undefined>
  /** Closes every source that is still open. */
  close?(): Promise<void>
}

/** Reads `length` bytes; a short read or a failure of the source becomes `file/io`, an abort `engine/cancelled`. */
export async function readExactly(
  source: ByteSource,
  offset: number,
  length: number,
  signal?: AbortSignal,
  into?: Uint8Array,
): Promise<Uint8Array> {
  throwIfCancelled(signal, source.name)
  let bytes: Uint8Array
  try {
    bytes = await source.read(offset, length, signal, into)
  } catch (cause) {
    throwIfCancelled(signal, source.name)
    if (cause instanceof RuntimeFault) throw cause
    throw ioFault(source.name, `${length} bytes at ${offset}`, `an error: ${messageOf(cause)}`, cause)
  }
  if (bytes.byteLength !== length) {
    throw ioFault(source.name, `${length} bytes at ${offset}`, `${bytes.byteLength} bytes`)
  }
  return bytes
}

/**
 * The whole of a UTF-8 file, or `undefined` when the store lacks it.
 * Throws `file/format` when it is longer than `maxBytes` (checked before reading) or not UTF-8.
 */
export async function readText(
  store: FileStore,
  path: string,
  maxBytes: number,
): Promise<string | undefined> {
  const source = await store.open(path)
  if (source === undefined) return undefined
  try {
    if (source.size > maxBytes) {
      throw formatFault(source.name, `at most ${maxBytes} bytes`, `${source.size} bytes`)
    }
    const bytes = await readExactly(source, 0, source.size)
    return decodeUtf8(bytes)
  } catch (cause) {
    if (cause instanceof RuntimeFault) throw cause
    throw formatFault(source.name, 'UTF-8 text', 'other bytes', cause)
  } finally {
    await source.close?.()
  }
}

/** As `readText`, parsed. Throws `file/format` when the text is not JSON. */
export async function readJson(store: FileStore, path: string, maxBytes: number): Promise<unknown> {
  const text = await readText(store, path, maxBytes)
  if (text === undefined) return undefined
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw formatFault(`${store.name}/${path}`, 'JSON', messageOf(cause), cause)
  }
}

/** Text of UTF-8 bytes without a byte-order mark; throws a TypeError on malformed input. */
export function decodeUtf8(bytes: Uint8Array): string {
  return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
}

/** A file that is already in memory. Reads are views, not copies. */
export function memorySource(name: string, bytes: Uint8Array): ByteSource {
  return {
    name,
    size: bytes.byteLength,
    async read(offset, length, signal) {
      throwIfCancelled(signal, name)
      return bytes.subarray(offset, offset + length)
    },
  }
}

/** A folder that is already in memory; strings are stored as UTF-8. */
export function memoryStore(name: string, files: Record<string, Uint8Array | string>): FileStore {
  const encoder = new TextEncoder()
  const contents = new Map(Object.entries(files))
  return {
    name,
    async open(path) {
      const content = contents.get(path)
      if (content === undefined) return undefined
      return memorySource(`${name}/${path}`, typeof content === 'string' ? encoder.encode(content) : content)
    },
  }
}

function messageOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause)
}

function ioFault(where: string, expected: string, got: string, cause?: unknown): RuntimeFault {
  return new RuntimeFault('file/io', {
    where,
    expected,
    got,
    fix: 'Check that the file is complete and readable, then load again.',
    cause,
  })
}

function formatFault(where: string, expected: string, got: string, cause?: unknown): RuntimeFault {
  return new RuntimeFault('file/format', {
    where,
    expected,
    got,
    fix: 'Fetch the file again; it is damaged or not what its name says.',
    cause,
  })
}

/** As `readJson`, for files that hold an object. Throws `file/format` for any other value. */
export async function readJsonObject(
  store: FileStore,
  path: string,
  maxBytes: number,
): Promise<Record<string, unknown> | undefined> {
  const value = await readJson(store, path, maxBytes)
  if (value === undefined || isRecord(value)) return value
  throw formatFault(`${store.name}/${path}`, 'a JSON object', shown(value))
}
