// The parts of HTTP that say which bytes are wanted and whether the client has them already. Pure.

/**
 * One range of `Range`, which counts only where `If-Range` names what the file is now.
 * @param {import('node:http').IncomingHttpHeaders} headers
 * @param {number} size of the file, bytes
 * @param {{ etag: string, lastModified: string }} current
 * @returns {{ start: number, end: number } | 'unsatisfiable' | undefined} the bytes, both inclusive; undefined: all
 */
export function parseRange(headers, size, { etag, lastModified }) {
  const condition = headers['if-range']
  if (condition !== undefined && condition !== etag && condition !== lastModified) return undefined
  // Several ranges may be answered with the whole; so may what is no range at all.
  const range = /^bytes=(\d*)-(\d*)$/.exec(headers.range ?? '')
  if (range === null || range[0] === 'bytes=-') return undefined
  const [, first, last] = range
  if (first === '') {
    const length = Math.min(Number(last), size)
    return length === 0 ? 'unsatisfiable' : { start: size - length, end: size - 1 }
  }
  const start = Number(first)
  const end = last === '' ? size - 1 : Math.min(Number(last), size - 1)
  if (last !== '' && Number(last) < start) return undefined
  return start >= size ? 'unsatisfiable' : { start, end }
}

/** Whether `If-None-Match` lists what the file is now. */
export function isFresh(headers, etag) {
  const known = (headers['if-none-match'] ?? '').split(',').map((tag) => tag.trim().replace(/^W\//, ''))
  return known.includes('*') || known.includes(etag)
}
