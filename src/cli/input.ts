// Text from stdin: all of it, or none when nobody pipes any.

import { addAbortSignal, type Readable } from 'node:stream'
import type { InputStream } from './deps.ts'

/** Everything up to the end, less a last line break. An abort rejects. */
export async function readAll(stdin: InputStream, signal: AbortSignal): Promise<string> {
  addAbortSignal(signal, stdin as Readable)
  const chunks: Buffer[] = []
  for await (const chunk of stdin) chunks.push(Buffer.from(chunk))
  return Buffer.concat(chunks)
    .toString('utf8')
    .replace(/\r?\n$/, '')
}

/**
 * As readAll, but '' when `patienceMs` pass without a first byte: stdin may be a pipe that nobody writes to or closes.
 */
export async function readPiped(
  stdin: InputStream,
  patienceMs: number,
  signal: AbortSignal,
): Promise<string> {
  const isReadable = await new Promise<boolean>((resolve) => {
    const timer = setTimeout(() => settle(false), patienceMs)
    const settle = (value: boolean): void => {
      clearTimeout(timer)
      stdin.removeListener('readable', onReadable)
      stdin.removeListener('end', onNothing)
      stdin.removeListener('error', onNothing)
      signal.removeEventListener('abort', onNothing)
      resolve(value)
    }
    const onReadable = (): void => settle(true)
    const onNothing = (): void => settle(false)
    stdin.on('readable', onReadable)
    stdin.on('end', onNothing)
    stdin.on('error', onNothing)
    signal.addEventListener('abort', onNothing)
  })
  return isReadable ? readAll(stdin, signal) : ''
}
