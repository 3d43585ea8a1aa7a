// Bytes for people. Not here: other numbers (cli/terminal.ts).

const units = ['bytes', 'KiB', 'MiB', 'GiB', 'TiB']

/** `134217728` → `128 MiB`. */
export function formatBytes(bytes: number): string {
  let value = bytes
  let unit = 0
  while (value >= 1023.5 && unit < units.length - 1) {
    value /= 1024
    unit++
  }
  return `${shortNumber(value)} ${units[unit]}`
}

/** For sums and limits: the last digit is rounded up, so that allowing what is shown suffices. */
export function formatBytesUp(bytes: number): string {
  if (bytes < 2 ** 20 / 100) return `${Math.ceil(bytes)} bytes`
  const [unit, name] = bytes < 2 ** 30 ? [2 ** 20, 'MiB'] : [2 ** 30, 'GiB']
  return `${(Math.ceil((bytes / unit) * 100) / 100).toFixed(2)} ${name}`
}

/** Three significant digits, no trailing zeros. */
export function shortNumber(value: number): string {
  return String(Number(value.toPrecision(value >= 1000 ? 4 : 3)))
}
