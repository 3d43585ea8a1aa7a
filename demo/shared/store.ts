// A value that tells when it changes, and the hook that shows it.

import { useEffect, useState } from 'preact/hooks'

export class Store<T> {
  #value: T
  readonly #listeners = new Set<(value: T) => void>()

  constructor(value: T) {
    this.#value = value
  }

  get value(): T {
    return this.#value
  }

  update(change: Partial<T> | ((value: T) => Partial<T>)): void {
    const changes = typeof change === 'function' ? change(this.#value) : change
    this.#value = { ...this.#value, ...changes }
    for (const listener of this.#listeners) listener(this.#value)
  }

  subscribe(listener: (value: T) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }
}

export function useStore<T>(store: Store<T>): T {
  const [value, setValue] = useState(() => ({ current: store.value }))
  useEffect(() => {
    // It may have changed between the first rendering and now.
    setValue({ current: store.value })
    return store.subscribe((current) => setValue({ current }))
  }, [store])
  return value.current
}
