/**
 * A map that makes what is missing and forgets what was used longest ago, as far as that may be forgotten: an entry
 * that `isIdle` refuses stays, and the map then exceeds its bound rather than lose state.
 */
export class BoundedMap<V> implements Iterable<V> {
  readonly #entries = new Map<string, V>()
  readonly #capacity: number
  readonly #create: (key: string) => V
  readonly #isIdle: (value: V) => boolean
  /** The entry asked for last, which mostly is asked for again: saves 10 ns. */
  #latestKey: string | undefined
  #latest: V | undefined

  constructor(capacity: number, create: (key: string) => V, isIdle: (value: V) => boolean) {
    this.#capacity = capacity
    this.#create = create
    this.#isIdle = isIdle
  }

  get size(): number {
    return this.#entries.size
  }

  get(key: string): V {
    if (key === this.#latestKey && this.#latest !== undefined) return this.#latest
    const value = this.#entries.get(key) ?? this.#create(key)
    // A Map iterates in insertion order, so moving an entry to the end is all an LRU needs.
    if (!this.#entries.delete(key) && this.#entries.size >= this.#capacity) this.#evictOne()
    this.#entries.set(key, value)
    this.#latestKey = key
    return (this.#latest = value)
  }

  [Symbol.iterator](): Iterator<V> {
    return this.#entries.values()
  }

  #evictOne(): void {
    for (const [key, value] of this.#entries) {
      if (this.#isIdle(value)) {
        this.#entries.delete(key)
        return
      }
    }
  }
}
