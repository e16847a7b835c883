import { LruMap, type LruLimits } from '../structures/lru-map.ts'
import { isUrlMeta } from './record.ts'
import type { CacheEntry, CacheStore } from './store.ts'

/** What an entry takes besides, of which a write leaves one for each URL: its key, and the objects that hold it. */
const OVERHEAD_BYTES = 250

/**
 * Keeps what was used last. It answers at once, never by a promise, so no call waits for it. Lifetimes are not its
 * business: what is past use is found so, and deleted, when it is asked for.
 */
export class MemoryCacheStore implements CacheStore {
  readonly #entries: LruMap<CacheEntry>

  constructor(limits: LruLimits) {
    this.#entries = new LruMap(limits)
  }

  get(key: string): CacheEntry | undefined {
    return this.#entries.get(key)
  }

  set(key: string, { meta, body }: CacheEntry): void {
    const bytes = meta.length + body.byteLength + OVERHEAD_BYTES
    // What is known of a URL is no response.
    this.#entries.set(key, { meta, body }, { bytes, entries: isUrlMeta(meta) ? 0 : 1 })
  }

  delete(key: string): void {
    this.#entries.delete(key)
  }

  clear(): void {
    this.#entries.clear()
  }
}
