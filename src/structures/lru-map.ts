export interface LruLimits {
  readonly maxEntries: number
  readonly maxBytes: number
}

/** What an entry counts for. */
export interface Weight {
  readonly bytes: number
  /** Default 1; 0 for one that only its bytes are asked of. */
  readonly entries?: number
}

/**
 * A map that forgets what was used longest ago, as soon as it holds more entries or bytes than it may. What is heavier
 * than all of it is not taken in.
 */
export class LruMap<V> {
  readonly #limits: LruLimits
  /** In the order of use: a Map iterates in the order of insertion. */
  readonly #kept = new Map<string, { readonly value: V; readonly weight: Weight }>()
  #entries = 0
  #bytes = 0

  constructor(limits: LruLimits) {
    this.#limits = limits
  }

  get(key: string): V | undefined {
    const found = this.#kept.get(key)
    if (found === undefined) return undefined
    this.#kept.delete(key)
    this.#kept.set(key, found)
    return found.value
  }

  set(key: string, value: V, weight: Weight): void {
    this.delete(key)
    if (weight.bytes > this.#limits.maxBytes) return
    this.#kept.set(key, { value, weight })
    this.#count(weight, 1)
    for (const oldest of this.#kept.keys()) {
      if (!this.#isOver()) return
      this.delete(oldest)
    }
  }

  /** @returns what was there */
  delete(key: string): V | undefined {
    const found = this.#kept.get(key)
    if (found === undefined) return undefined
    this.#kept.delete(key)
    this.#count(found.weight, -1)
    return found.value
  }

  clear(): void {
    this.#kept.clear()
    this.#entries = this.#bytes = 0
  }

  #count({ entries = 1, bytes }: Weight, sign: 1 | -1): void {
    this.#entries += sign * entries
    this.#bytes += sign * bytes
  }

  #isOver(): boolean {
    return this.#entries > this.#limits.maxEntries || this.#bytes > this.#limits.maxBytes
  }
}
