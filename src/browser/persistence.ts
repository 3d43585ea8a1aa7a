// Asks the browser not to drop this origin's files when the disk gets full.

let isAsked = false

/** Asks once a page; some browsers ask their user. Of no effect in workers, where nobody may ask, and without https. */
export function askForPersistence(): void {
  const storage = navigator.storage as Partial<StorageManager> | undefined
  if (isAsked || typeof storage?.persist !== 'function') return
  isAsked = true
  // Whatever the answer: the cache works without.
  void storage.persist().catch(() => undefined)
}
