/**
 * A map that makes what is missing and forgets what was used longest ago, as far as that may be forgotten: an entry
 * that `isIdle` refuses stays, and the map then exceeds its bound rather than lose state.
 */
export class BoundedMap<V> implements Iterable<V> {
  readonly #entries = new Map<string, V>()
  readonly #capacity: number
  readonly #create: (key: string) => V
  readonly #isIdle: (value: V) => boolean
  #latestKey: string | undefined

  constructor(capacity: number, create: (key: string) => V, isIdle: (value: V) => boolean) {
    this.#capacity = capacity
    this.#create = create
    this.#isIdle = isIdle
  }

  get size(): number {
    return this.#entries.size
  }

  get(key: string): V {
    const found = this.#entries.get(key)
    if (found === undefined) return this.#insert(key)
    // A Map iterates in insertion order, so moving an entry to the end is all an LRU needs.
    if (key !== this.#latestKey) {
      this.#entries.delete(key)
      this.#entries.set(key, found)
      this.#latestKey = key
    }
    return found
  }

  [Symbol.iterator](): Iterator<V> {
    return this.#entries.values()
  }

  #insert(key: string): V {
    if (this.#entries.size >= this.#capacity) this.#evictOne()
    const created = this.#create(key)
    this.#entries.set(key, created)
    this.#latestKey = key
    return created
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
