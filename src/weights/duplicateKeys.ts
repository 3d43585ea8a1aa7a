// Finds a repeated key in JSON text, which JSON.parse hides by keeping the last one.
// Not a parser: the text has been through JSON.parse already.

/** The first key that occurs twice in one object of valid JSON `text`, or `undefined`. Escapes are resolved. */
export function findDuplicateKey(text: string): string | undefined {
  const openObjects: Set<string>[] = []
  for (let i = 0; i < text.length; i++) {
    const char = text[i]
    if (char === '{') openObjects.push(new Set())
    else if (char === '}') openObjects.pop()
    else if (char === '"') {
      const end = closingQuote(text, i)
      if (isKey(text, end)) {
        const key = JSON.parse(text.slice(i, end + 1)) as string
        const keys = openObjects.at(-1)
        if (keys?.has(key) === true) return key
        keys?.add(key)
      }
      i = end
    }
  }
  return undefined
}

function closingQuote(text: string, open: number): number {
  let i = open + 1
  while (i < text.length && text[i] !== '"') i += text[i] === '\\' ? 2 : 1
  return i
}

/** In valid JSON a string is a key exactly when a colon follows it. */
function isKey(text: string, closeQuote: number): boolean {
  let i = closeQuote + 1
  while (text[i] === ' ' || text[i] === '\n' || text[i] === '\r' || text[i] === '\t') i++
  return text[i] === ':'
}
