// Names and figures, short enough for the place that there is.

/** Without what all tensors have in common; of stacked tensors the first. */
export function shortName(label: string): string {
  const inner = /^concat\((.*)\)$/.exec(label)?.[1]?.split(', ')
  const name = (inner?.[0] ?? label)
    .replace(/^table:(\w+).*/, '$1 table')
    .replace(/\.weight$/, '')
    .replace(/^model\./, '')
  return inner === undefined ? name : `${name} + ${inner.length - 1} more`
}

/** With as many digits as tell something. */
export function formatTime(ms: number): string {
  if (ms === 0) return '0'
  return ms < 1 ? `${Math.max(1, Math.round(ms * 1000))} µs` : `${ms.toFixed(ms < 10 ? 2 : 1)} ms`
}

/** An attribute of an op. */
export function formatAttribute(value: unknown): string {
  return typeof value === 'number' ? String(Number(value.toPrecision(6))) : String(value)
}
