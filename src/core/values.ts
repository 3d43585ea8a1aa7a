// Values of unknown type: what they are, and how errors show them.

/** Whether a parsed JSON value is an object, not an array or null. */
export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** A value from a file or a caller for an error message: short whatever it is, and safe where it is nested too deep to print. */
export function shown(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value.length <= 80 ? value : `${value.slice(0, 80)}…`)
  if (Array.isArray(value)) return `[${listed(value, shownItem)}]`
  switch (typeof value) {
    case 'undefined':
      return 'nothing'
    case 'object':
      return value === null ? 'null' : shownObject(value)
    case 'function':
      return 'a function'
    default:
      return String(value)
  }
}

function shownObject(value: object): string {
  const prototype: unknown = Object.getPrototypeOf(value)
  if (prototype !== Object.prototype && prototype !== null) return 'an object'
  return `{${listed(Object.entries(value), ([key, item]) => `${shown(key)}:${shownItem(item)}`)}}`
}

/** What is nested stays closed. */
function shownItem(value: unknown): string {
  if (typeof value !== 'object' || value === null) return shown(value)
  const [open, close] = Array.isArray(value) ? '[]' : '{}'
  return `${open}${Object.keys(value).length > 0 ? '…' : ''}${close}`
}

function listed<T>(items: readonly T[], show: (item: T) => string): string {
  // Array.from: `map` passes over holes.
  const first = Array.from(items.slice(0, 8), show).join(', ')
  return items.length > 8 ? `${first}, …` : first
}
