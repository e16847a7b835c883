import { isUrlMeta } from './record.ts'
import type { CacheEntry, CacheStore } from './store.ts'

export interface MemoryLimits {
  readonly maxEntries: number
  readonly maxBytes: number
}

interface Kept extends CacheEntry {
  readonly bytes: number
  readonly isResponse: boolean
}

/** What an entry takes besides, of which a write leaves one for each URL: its key, and the objects that hold it. */
const OVERHEAD_BYTES = 250

/**
 * Keeps what was used last. It answers at once, never by a promise, so no call waits for it. Lifetimes are not its
 * business: what is past use is found so, and deleted, when it is asked for.
 */
export class MemoryCacheStore implements CacheStore {
  readonly #limits: MemoryLimits
  /** In the order of use: a Map iterates in the order of insertion. */
  readonly #entries = new Map<string, Kept>()
  #bytes = 0
  #responses = 0

  constructor(limits: MemoryLimits) {
    this.#limits = limits
  }

  get(key: string): CacheEntry | undefined {
    const found = this.#entries.get(key)
    if (found === undefined) return undefined
    this.#entries.delete(key)
    this.#entries.set(key, found)
    return found
  }

  set(key: string, { meta, body }: CacheEntry): void {
    this.delete(key)
    const bytes = meta.length + body.byteLength + OVERHEAD_BYTES
    const kept = { meta, body, bytes, isResponse: !isUrlMeta(meta) }
    if (kept.bytes > this.#limits.maxBytes) return
    this.#entries.set(key, kept)
    this.#count(kept, 1)
    for (const oldest of this.#entries.keys()) {
      if (!this.#isOver()) return
      this.delete(oldest)
    }
  }

  delete(key: string): void {
    const found = this.#entries.get(key)
    if (found === undefined) return
    this.#entries.delete(key)
    this.#count(found, -1)
  }

  clear(): void {
    this.#entries.clear()
    this.#bytes = 0
    this.#responses = 0
  }

  #count({ bytes, isResponse }: Kept, sign: 1 | -1): void {
    this.#bytes += sign * bytes
    if (isResponse) this.#responses += sign
  }

  #isOver(): boolean {
    const { maxEntries, maxBytes } = this.#limits
    return this.#responses > maxEntries || this.#bytes > maxBytes
  }
}
