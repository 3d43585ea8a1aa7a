// Reads the small text files of a tokenizer from a model folder.
// Not here: the stores; those of src/weights fit TextStore by shape, so this folder needs no import from there.
import { RuntimeFault } from '../core/errors.ts'

/** What this folder asks of a model folder: whole files by name. */
export interface TextStore {
  readonly name: string
  /** `undefined` when the file is absent. */
  open(path: string): Promise<TextSource | undefined>
}

export interface TextSource {
  /** Bytes. */
  readonly size: number
  read(offset: number, length: number): Promise<Uint8Array>
  close?(): Promise<void>
}

/** The largest public tokenizer.json files have about 35 MB. */
const maxFileBytes = 128 * 1024 * 1024

/** A UTF-8 file, or `undefined` when absent. Throws `text/tokenizer` when it is too long or not UTF-8. */
export async function readTextFile(store: TextStore, path: string): Promise<string | undefined> {
  const source = await store.open(path)
  if (source === undefined) return undefined
  const where = `${store.name}/${path}`
  try {
    if (source.size > maxFileBytes) {
      throw fileFault(where, `at most ${maxFileBytes} bytes`, `${source.size} bytes`)
    }
    return new TextDecoder('utf-8', { fatal: true }).decode(await source.read(0, source.size))
  } catch (cause) {
    if (cause instanceof RuntimeFault) throw cause
    throw fileFault(where, 'readable UTF-8 text', String(cause), cause)
  } finally {
    await source.close?.()
  }
}

/** A JSON file that holds an object, or `undefined` when absent. Throws `text/tokenizer` for anything else. */
export async function readJsonObject(
  store: TextStore,
  path: string,
): Promise<Record<string, unknown> | undefined> {
  const text = await readTextFile(store, path)
  if (text === undefined) return undefined
  const where = `${store.name}/${path}`
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (cause) {
    throw fileFault(where, 'JSON', String(cause), cause)
  }
  if (!isRecord(value)) throw fileFault(where, 'a JSON object', 'another value')
  return value
}

/** Whether a parsed JSON value is an object, not an array or null. */
export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function fileFault(where: string, expected: string, got: string, cause?: unknown): RuntimeFault {
  return new RuntimeFault('text/tokenizer', {
    where,
    expected,
    got,
    fix: 'Fetch the file again; it is damaged or not what its name says.',
    cause,
  })
}
