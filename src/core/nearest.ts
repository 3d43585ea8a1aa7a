// Which of the known names somebody may have meant. Not here: what is said of it.

/**
 * The known name that is spelled most like another, capitals and punctuation aside; undefined if more than a third of the
 * letters differ.
 */
export function nearestName(name: string, known: readonly string[]): string | undefined {
  const own = lettersOf(name)
  const distances = known.map((each): [number, string] => [editDistance(own, lettersOf(each)), each])
  const [best] = distances.sort(([a], [b]) => a - b)
  return best !== undefined && best[0] <= own.length / 3 ? best[1] : undefined
}

function lettersOf(text: string): string {
  return text.toLowerCase().replaceAll(/[^a-z\d]/g, '')
}

/** Letters to put in, take out, change or swap with the next one to make one text of the other. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index)
  let rowBefore = row
  for (let i = 0; i < a.length; i++) {
    const next = [i + 1]
    for (let j = 0; j < b.length; j++) {
      const isSwapped = i > 0 && j > 0 && a[i] === b[j - 1] && a[i - 1] === b[j]
      const swapped = isSwapped ? rowBefore[j - 1]! + 1 : Infinity
      next.push(Math.min(next[j]! + 1, row[j + 1]! + 1, row[j]! + (a[i] === b[j] ? 0 : 1), swapped))
    }
    rowBefore = row
    row = next
  }
  return row[b.length]!
}
