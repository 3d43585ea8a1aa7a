// Hands the user a file that was made in the page.

const revokeAfterMs = 10_000

export function saveJson(name: string, document_: object): void {
  const blob = new Blob([JSON.stringify(document_, undefined, 2)], { type: 'application/json' })
  const address = URL.createObjectURL(blob)
  const link = Object.assign(document.createElement('a'), { href: address, download: fileName(name) })
  link.click()
  setTimeout(() => URL.revokeObjectURL(address), revokeAfterMs)
}

/** Without what file systems refuse. */
const fileName = (name: string): string => name.replaceAll(/[\\/:*?"<>|\p{Cc}]/gu, '_')
