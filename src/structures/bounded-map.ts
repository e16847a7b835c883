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
  /** Goes on where it stopped: a new one passes over all that has gone from the front, 590 us in a map of a million. */
  #oldest: Iterator<[string, V], undefined> | undefined
  /** How many it still has a turn for, so that it never comes to what is used now before what it passed over. */
  #turns = 0

  constructor(capacity: number, create: (key: string) => V, isIdle: (value: V) => boolean) {
    this.#capacity = capacity
    this.#create = create
    this.#isIdle = isIdle
  }

  get size(): number {
    return this.#entries.size
  }

  has(key: string): boolean {
    return this.#entries.has(key)
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

  /** What was passed over while it was busy has its turn again once all others had theirs. What exceeds the bound goes, too. */
  #evictOne(): void {
    for (let { size } = this.#entries; size > 0; size--) {
      if (this.#turns-- <= 0) {
        this.#oldest = this.#entries.entries()
        this.#turns = this.#entries.size - 1
      }
      const entry = this.#oldest?.next().value
      if (entry === undefined || !this.#isIdle(entry[1])) continue
      this.#entries.delete(entry[0])
      if (this.#entries.size < this.#capacity) return
    }
  }
}
